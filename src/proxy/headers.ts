import { BlockList, isIP } from "node:net";
import { KIND, type KindSet, kindSet } from "./field-kind.js";
import { HOP_BY_HOP } from "./http1/writer.js";
import type { ClientFacts, FieldList, RequestHead } from "./message.js";

/** Never copied to a backend: what speaks of one connection, the framing, which is written anew, and imitations. */
const NOT_FORWARDED = HOP_BY_HOP | kindSet(KIND.contentLength, KIND.lookAlike);

/** What a client may only say of others when it is trusted. */
const FORWARDED = kindSet(
  KIND.forwarded,
  KIND.xForwardedFor,
  KIND.xForwardedProto,
  KIND.xForwardedHost,
  KIND.xForwardedPort,
  KIND.xRealIp,
  KIND.xForwardedOther,
);

const APPENDED = kindSet(KIND.forwarded, KIND.xForwardedFor);

const EXPECT = kindSet(KIND.expect);

const MAX_FORWARDS = kindSet(KIND.maxForwards);

/**
 * Request path. The field lines a backend gets: the client's own in their order, without those of its
 * connection, and behind them who the client is.
 *
 * X-Forwarded-For, -Proto and -Host are always set. From a trusted client the existing list is kept and
 * continued, from any other it is replaced. Forwarded (RFC 7239) is continued for a trusted client and dropped
 * otherwise. Via is added as RFC 9110 section 7.6.3 demands of gateways, Max-Forwards counted down as section 7.6.2
 * does.
 *
 * @param fields the client's, or what stands for them
 */
export function forwardedLines(head: RequestHead, client: ClientFacts, fields = head.fields): string {
  if (head.forwardsLeft === undefined) return linesOf(head, client, fields, 0);
  return `${linesOf(head, client, fields, MAX_FORWARDS)}max-forwards: ${head.forwardsLeft - 1}\r\n`;
}

function linesOf(head: RequestHead, client: ClientFacts, fields: FieldList, replaced: KindSet): string {
  const host = fields.has(KIND.host) ? "" : `host: ${hostOf(head, client)}\r\n`;
  // Nobody waits for a 100 without a body, nor in HTTP/1.0 (RFC 9110 section 10.1.1).
  const drop = replaced | NOT_FORWARDED | (head.expectsContinue ? 0 : EXPECT);
  if ((fields.kinds & FORWARDED) !== 0 && client.isTrusted)
    return host + continuedLines(head, client, fields, drop);
  return `${host}${fields.serialize(drop | FORWARDED, head.connectionNames)}${ownLines(head, client)}`;
}

function ownLines(head: RequestHead, client: ClientFacts): string {
  const address = client.remoteAddress === "" ? "" : `x-forwarded-for: ${client.remoteAddress}\r\n`;
  return `${address}x-forwarded-proto: ${client.scheme}\r\nx-forwarded-host: ${hostOf(head, client)}\r\nvia: 1.1 pilotfish\r\n`;
}

function continuedLines(head: RequestHead, client: ClientFacts, fields: FieldList, drop: KindSet): string {
  let text = fields.serialize(drop | APPENDED, head.connectionNames);
  text += listLine("x-forwarded-for", fields, KIND.xForwardedFor, client.remoteAddress);
  if (fields.has(KIND.forwarded)) {
    const element = `for=${forwardedNode(client.remoteAddress)};proto=${client.scheme}`;
    text += listLine("forwarded", fields, KIND.forwarded, element);
  }
  if (!fields.has(KIND.xForwardedProto)) text += `x-forwarded-proto: ${client.scheme}\r\n`;
  if (!fields.has(KIND.xForwardedHost)) text += `x-forwarded-host: ${hostOf(head, client)}\r\n`;
  return `${text}via: 1.1 pilotfish\r\n`;
}

function listLine(
  name: string,
  fields: FieldList,
  kind: typeof KIND.forwarded | typeof KIND.xForwardedFor,
  element: string,
): string {
  const elements = [...fields.valuesOf(kind), element].filter((value) => value !== "");
  return elements.length === 0 ? "" : `${name}: ${elements.join(", ")}\r\n`;
}

function hostOf(head: RequestHead, client: ClientFacts): string {
  return head.authority === "" ? client.localAuthority : head.authority;
}

/** RFC 7239 section 6: an IPv6 address stands in brackets and quotes; what cannot be named is unknown. */
function forwardedNode(address: string): string {
  if (address === "") return "unknown";
  return isIP(address) === 6 ? `"[${address}]"` : address;
}

/** Networks (CIDR or single addresses) whose clients are believed. */
export class TrustedNetworks {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const network of networks) {
      const [address = "", prefix] = network.split("/");
      const family = isIP(address) === 6 ? "ipv6" : "ipv4";
      if (prefix === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(prefix), family);
    }
  }

  /** A client without an address came over a unix socket: whoever may open that is local and believed. */
  has(address: string): boolean {
    if (address === "") return true;
    if (this.#isEmpty) return false;
    return this.#list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }
}
