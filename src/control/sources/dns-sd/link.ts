import type { NetworkInterfaceInfo } from "node:os";

/** An IPv4 address of this machine and the network behind it. */
export interface LinkAddress {
  /** Name of the interface. */
  readonly name: string;
  readonly address: string;
  readonly netmask: string;
}

/**
 * The addresses to listen and ask on: those of the interfaces that are named, by name or address, else all but
 * loopback. Pure.
 */
export function chooseLinks(
  interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>,
  wanted: readonly string[] | undefined,
): readonly LinkAddress[] {
  return Object.entries(interfaces)
    .flatMap(([name, infos]) => (infos ?? []).map((info) => ({ name, info })))
    .filter(({ info }) => info.family === "IPv4")
    .filter(({ name, info }) =>
      wanted === undefined ? !info.internal : wanted.includes(name) || wanted.includes(info.address),
    )
    .map(({ name, info }) => ({ name, address: info.address, netmask: info.netmask }))
    .sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The link a sender is on, as RFC 6762 section 11 demands; undefined for one that is further away. Pure. */
export function findLink(sender: string, links: readonly LinkAddress[]): LinkAddress | undefined {
  const from = toNumber(sender);
  if (from === undefined) return undefined;
  return links.find(({ address, netmask }) => {
    const own = toNumber(address);
    const mask = toNumber(netmask);
    return own !== undefined && mask !== undefined && (own & mask) === (from & mask);
  });
}

function toNumber(address: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (match === null) return undefined;
  return match.slice(1).reduce((sum, part) => (sum << 8) | Number(part), 0);
}
