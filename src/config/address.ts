import { isIPv4, isIPv6 } from "node:net";
import type { SocketAddressConfig } from "./model.js";
import { accept, type Parsed, refuse } from "./parsed.js";

/** Most ports that one range may spread into. */
export const MAX_PORTS_PER_RANGE = 1_024;

/** Longest unix socket path: `sun_path` has 108 bytes on Linux, the last one ends the string. */
const MAX_UNIX_PATH_BYTES = 107;

const BIND_EXPECTED =
  "an address to listen on, such as 127.0.0.1:8080, :8080, [::1]:8080, 127.0.0.1:60000-60001, unix:/path or fd:3";
const HOST_PORT_EXPECTED = "host:port, such as 10.0.0.2:80, web.local:80 or [::1]:80";

/** Where a host begins in a name or an address, and the text of the port behind it. */
interface SplitAddress {
  /** Without brackets; empty in `:port`. */
  readonly host: string;
  readonly port: string;
}

/** Reads an address to connect to: a name or an IP address (IPv6 in brackets) and a port from 1 to 65535. */
export function parseHostPort(input: unknown): Parsed<{ readonly host: string; readonly port: number }> {
  if (typeof input !== "string") return refuse(HOST_PORT_EXPECTED);
  if (input.includes("://")) return refuse("host:port without a scheme, such as 10.0.0.2:80");
  const split = splitAddress(input);
  if (!split.ok) return split;
  if (split.value.host === "") return refuse(HOST_PORT_EXPECTED);
  const port = parsePort(split.value.port, 1);
  return port.ok ? accept({ host: split.value.host, port: port.value }) : port;
}

/** Reads the IP address of a name server, with a port (53 without one): 10.0.0.2, 10.0.0.2:8600, ::1, [::1]:8600. */
export function parseNameServer(input: unknown): Parsed<{ readonly host: string; readonly port: number }> {
  const expected = "the IP address of a name server, such as 127.0.0.1:8600, 10.0.0.2 or [::1]:53";
  if (typeof input !== "string") return refuse(expected);
  if (isIPv4(input) || isIPv6(input)) return accept({ host: input, port: 53 });
  const parsed = parseHostPort(input);
  // A name would need a name server to be found.
  return parsed.ok && (isIPv4(parsed.value.host) || isIPv6(parsed.value.host)) ? parsed : refuse(expected);
}

/**
 * Reads one form of `bind` and spreads a port range into one address per port. `:port` means all addresses
 * of both families and comes out as host `::`. Port 0 (any free port) is allowed outside a range.
 */
export function parseBind(input: unknown): Parsed<readonly SocketAddressConfig[]> {
  if (typeof input === "number")
    return refuse(`an address to listen on, such as 127.0.0.1:${input} or :${input}`);
  if (typeof input !== "string") return refuse(BIND_EXPECTED);
  if (input.startsWith("unix:")) return parseUnix(input.slice("unix:".length));
  if (input.startsWith("fd:")) return parseDescriptor(input.slice("fd:".length));
  if (input.includes("://")) return refuse("an address without a scheme, such as 127.0.0.1:8080");
  const split = splitAddress(input);
  if (!split.ok)
    return /^\d+$/.test(input) ? refuse(`an address such as 127.0.0.1:${input} or :${input}`) : split;
  const host = split.value.host === "" ? "::" : split.value.host;
  const ports = parsePortRange(split.value.port);
  if (!ports.ok) return ports;
  return accept(ports.value.map((port) => ({ kind: "tcp", host, port }) as const));
}

/** Reads a bind form that is one address: no port range. */
export function parseSingleBind(input: unknown): Parsed<SocketAddressConfig> {
  const parsed = parseBind(input);
  if (!parsed.ok) return parsed;
  const [only, ...others] = parsed.value;
  return only === undefined || others.length > 0 ? refuse("one address, not a range of ports") : accept(only);
}

/** Whether a socket address can be reached from another machine. A descriptor was opened by whoever passed it. */
export function isExposed(address: SocketAddressConfig): boolean {
  if (address.kind !== "tcp") return false;
  const host = address.host.toLowerCase();
  if (host === "localhost" || host === "::1") return false;
  const ipv4 = host.replace(/^::ffff:/, "");
  return !(isIPv4(ipv4) && ipv4.startsWith("127."));
}

/** Writes a socket address in the form `parseBind` reads; `::` is written as `[::]`. */
export function formatBind(address: SocketAddressConfig): string {
  switch (address.kind) {
    case "tcp":
      return address.host.includes(":")
        ? `[${address.host}]:${address.port}`
        : `${address.host}:${address.port}`;
    case "unix":
      return `unix:${address.path}`;
    case "fd":
      return `fd:${address.fd}`;
  }
}

function splitAddress(text: string): Parsed<SplitAddress> {
  const bracketed = /^\[([^\]]*)\]:([\d-]+)$/.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1] ?? "";
    return isIPv6(host)
      ? accept({ host, port: bracketed[2] ?? "" })
      : refuse("an IPv6 address inside the brackets, such as [::1]:8080");
  }
  if (isIPv6(text) || text.split(":").length > 2)
    return refuse("an IPv6 address in brackets, such as [::1]:8080");
  const plain = /^([^:]*):([\d-]+)$/.exec(text);
  const host = plain?.[1];
  if (host === undefined) return refuse("a host and a port, such as 127.0.0.1:8080");
  if (host !== "" && !isHost(host)) return refuse("a host name or an IP address before the port");
  return accept({ host, port: plain?.[2] ?? "" });
}

/**
 * Whether the text is an IPv4 address or could be a name. A name that ends in a label of digits is refused, so
 * that `10.0.0.300` is seen as the mistyped address it is (RFC 1123 section 2.1). Underscores are allowed.
 */
function isHost(text: string): boolean {
  if (isIPv4(text)) return true;
  if (text.length > 253) return false;
  const labels = text.replace(/\.$/, "").split(".");
  if (!labels.every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label))) return false;
  return !/^\d+$/.test(labels.at(-1) ?? "");
}

function parsePort(text: string, min: number): Parsed<number> {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port >= min && port <= 65_535 ? accept(port) : refuse(`a port from ${min} to 65535`);
}

function parsePortRange(text: string): Parsed<readonly number[]> {
  if (!text.includes("-")) {
    const port = parsePort(text, 0);
    return port.ok ? accept([port.value]) : port;
  }
  const [first = "", last = "", ...rest] = text.split("-");
  const from = parsePort(first, 1);
  const to = parsePort(last, 1);
  if (rest.length > 0 || !from.ok || !to.ok)
    return refuse("a range of ports from 1 to 65535, such as 60000-60001");
  const count = to.value - from.value + 1;
  if (count < 1) return refuse("a range that begins with its lower port");
  if (count > MAX_PORTS_PER_RANGE) return refuse(`a range of at most ${MAX_PORTS_PER_RANGE} ports`);
  return accept(Array.from({ length: count }, (_, index) => from.value + index));
}

function parseUnix(path: string): Parsed<readonly SocketAddressConfig[]> {
  if (path === "" || path.includes("\0"))
    return refuse("a path behind unix:, such as unix:/run/pilotfish.sock");
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES) {
    return refuse(`a socket path of at most ${MAX_UNIX_PATH_BYTES} bytes`);
  }
  return accept([{ kind: "unix", path, mode: undefined }]);
}

function parseDescriptor(text: string): Parsed<readonly SocketAddressConfig[]> {
  const fd = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  // 0 to 2 are the standard streams, never a listening socket.
  return fd >= 3 && fd <= 1_023
    ? accept([{ kind: "fd", fd }])
    : refuse("a file descriptor from fd:3 to fd:1023");
}
