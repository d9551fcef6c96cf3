import { type Endpoint, rowIdOf } from "../../../core/endpoint.js";
import { judgeSrv } from "../srv-rules.js";
import type { LinkInstance } from "./browser.js";
import { foldLabel } from "./record-cache.js";

/** Which addresses of an instance become backends: every one, or one, and the same while it is there. */
export type Resolve = "all" | "one";

/**
 * Endpoints in the order of their keys: the instance is the identity, TXT its meta, and priorities and weights
 * count as `judgeSrv` says. Pure.
 *
 * @param previous the endpoints before, which `one` keeps to.
 */
export function mapLinkInstances(
  instances: readonly LinkInstance[],
  resolve: Resolve,
  previous: readonly Endpoint[],
): readonly Endpoint[] {
  const judge = judgeSrv(instances);
  const rows = instances.flatMap((instance) => {
    const key = keyOf(instance.name);
    const hosts = resolve === "all" ? instance.addresses : [chooseAddress(instance, key, previous)];
    const meta = Object.fromEntries(
      instance.entries.map(([name, value]) => [printable(name), printable(value)]),
    );
    return hosts.map(
      (host): Endpoint => ({
        key,
        id: printable(instance.label),
        host,
        port: instance.port,
        status: "passing",
        admitted: true,
        reason: "",
        ...judge(instance),
        tags: [],
        meta,
        node: printable(instance.host),
        datacenter: undefined,
        zone: meta.zone,
      }),
    );
  });
  return rows.sort((a, b) => (rowIdOf(a) < rowIdOf(b) ? -1 : 1));
}

function chooseAddress(instance: LinkInstance, key: string, previous: readonly Endpoint[]): string {
  const held = previous.find(
    (endpoint) => endpoint.key === key && instance.addresses.includes(endpoint.host),
  );
  return held?.host ?? instance.addresses[0] ?? "";
}

/** `@` parts the key from the address in a row's name; names are compared in one case. */
function keyOf(name: string): string {
  return `dns-sd/${printable(foldLabel(name)).replace(/[%/@]/g, (found) => encodeURIComponent(found))}`;
}

/** Anybody on the link can choose these texts, and they end on terminals. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not pass.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}
