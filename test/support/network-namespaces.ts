import { spawnSync } from "node:child_process";

/** Two hosts on a link of their own, each in a network namespace. */
export interface LinkedNamespaces {
  /** The words before a command that run it on a host. */
  readonly first: readonly string[];
  readonly second: readonly string[];
  remove(): void;
}

function ip(...args: readonly string[]): boolean {
  return spawnSync("ip", args, { stdio: "ignore" }).status === 0;
}

/** Joins two new namespaces by a virtual cable; undefined where this process may not make any. */
export function linkNamespaces(
  name: string,
  firstAddress: string,
  secondAddress: string,
): LinkedNamespaces | undefined {
  const first = `${name}-a`;
  const second = `${name}-b`;
  const remove = () => {
    for (const namespace of [first, second]) ip("netns", "del", namespace);
  };
  const inside = (namespace: string, ...args: readonly string[]) => ip("-n", namespace, ...args);
  const isMade =
    ip("netns", "add", first) &&
    ip("netns", "add", second) &&
    ip("link", "add", "link0", "netns", first, "type", "veth", "peer", "name", "link0", "netns", second) &&
    inside(first, "address", "add", `${firstAddress}/24`, "dev", "link0") &&
    inside(second, "address", "add", `${secondAddress}/24`, "dev", "link0") &&
    [first, second].every(
      (each) => inside(each, "link", "set", "lo", "up") && inside(each, "link", "set", "link0", "up"),
    );
  if (!isMade) {
    remove();
    return undefined;
  }
  const on = (namespace: string) => ["ip", "netns", "exec", namespace];
  return { first: on(first), second: on(second), remove };
}
