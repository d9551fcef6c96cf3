import { isIPv4, isIPv6 } from "node:net";
import { accept, type Parsed, refuse } from "./parsed.js";

const EXPECTED = "a network such as 10.0.0.0/8, fd00::/8 or a single IP address";

/** Reads a network in CIDR form (RFC 4632); a bare address becomes the network of that one address. */
export function parseCidr(input: unknown): Parsed<string> {
  if (typeof input !== "string") return refuse(EXPECTED);
  const match = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(input);
  const address = match?.[1];
  if (address === undefined) return refuse(EXPECTED);
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0;
  if (bits === 0) return refuse(EXPECTED);
  const prefix = match?.[2] === undefined ? bits : Number(match[2]);
  if (prefix > bits) return refuse(`a prefix length of at most /${bits}`);
  return accept(`${address}/${prefix}`);
}
