import type { Config } from "./model.js";

/** One value that differs between two configurations. */
export interface ConfigChange {
  /** Where: `pools[web].timeouts.connectMs`; entries of lists that have names go by them. */
  readonly path: string;
  /** As JSON; undefined where it was not there before. Secrets are masked. */
  readonly from: string | undefined;
  /** As JSON; undefined where it is there no more. */
  readonly to: string | undefined;
}

const SECRETS: ReadonlySet<string> = new Set(["token", "auth", "secret", "password"]);

/** What a running process cannot change, and what to do instead. */
const FIXED: readonly { readonly path: RegExp; readonly advice: string }[] = [
  { path: /^stateDir$/, advice: "restart the process (SIGUSR2 does it without a refused connection)" },
  {
    path: /^admin\.grpc\.(tls|tokenFile)\b/,
    advice: "restart the process (SIGUSR2 does it without a refused connection)",
  },
  {
    path: /^listeners\[[^\]]+\]\.protocol$/,
    advice: "give the listener of the other protocol a name and an address of its own",
  },
];

/** Everything that differs, in the order of the new configuration; what is gone comes last in its list. */
export function differenceOf(before: Config, after: Config): readonly ConfigChange[] {
  const changes: ConfigChange[] = [];
  compare("", "", before, after, changes);
  return changes;
}

/** Why a running process cannot take a change; undefined where it can. */
export function obstacleTo(change: ConfigChange): string | undefined {
  const fixed = FIXED.find(({ path }) => path.test(change.path));
  return fixed && `cannot change while the process runs: ${fixed.advice}`;
}

/** Whether any change lies at or below a path. */
export function touches(changes: readonly ConfigChange[], path: string): boolean {
  return changes.some(
    (change) =>
      change.path === path || change.path.startsWith(`${path}.`) || change.path.startsWith(`${path}[`),
  );
}

function compare(path: string, key: string, from: unknown, to: unknown, changes: ConfigChange[]): void {
  if (Object.is(from, to)) return;
  if (isNamedList(from) && isNamedList(to)) {
    const before = new Map(from.map((item) => [item.name, item]));
    const after = new Map(to.map((item) => [item.name, item]));
    for (const name of new Set([...after.keys(), ...before.keys()])) {
      compare(`${path}[${name}]`, key, before.get(name), after.get(name), changes);
    }
  } else if (isMap(from) && isMap(to)) {
    for (const name of new Set([...Object.keys(to), ...Object.keys(from)])) {
      compare(path === "" ? name : `${path}.${name}`, name, from[name], to[name], changes);
    }
  } else if (JSON.stringify(from) !== JSON.stringify(to)) {
    changes.push({ path, from: shown(key, from), to: shown(key, to) });
  }
}

function shown(key: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return JSON.stringify(SECRETS.has(key) ? "***" : value, (name, inner: unknown) =>
    SECRETS.has(name) && inner !== undefined ? "***" : inner,
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lists that may be empty count as named only beside one that is: two empty ones are equal anyway. */
function isNamedList(value: unknown): value is readonly { readonly name: string }[] {
  return Array.isArray(value) && value.every((item) => isMap(item) && typeof item.name === "string");
}
