import { FAULT, type HeadFault } from "./head-fault.js";
import { classOf, DIGIT, HEX, HOST, isAll } from "./syntax.js";

/** A request target (RFC 9112 section 3.2), split into what is forwarded and whom it names. */
export interface Target {
  /** Path and query, or `*`. */
  readonly origin: string;
  /** The authority of an absolute-form target; undefined otherwise. */
  readonly authority: string | undefined;
}

const PERCENT = 0x25;
const HASH = 0x23;
const SLASH = 0x2f;

/** Request path. Reads a target whose characters are all visible ASCII. */
export function parseTarget(method: string, text: string): Target | HeadFault {
  if (method === "CONNECT")
    return isAuthorityForm(text) ? { origin: text, authority: text } : FAULT.badTarget;
  const fault = checkCharacters(text);
  if (fault !== undefined) return fault;
  if (text.charCodeAt(0) === SLASH) return { origin: text, authority: undefined };
  if (text === "*") return method === "OPTIONS" ? { origin: "*", authority: undefined } : FAULT.badTarget;
  return parseAbsolute(method, text);
}

/** Host and port, neither of them missing (RFC 9112 section 3.2.3; RFC 9110 section 9.3.6 for the port). */
function isAuthorityForm(text: string): boolean {
  return isHostValue(text) && /:0*[1-9]\d*$/.test(text) && !text.endsWith("]");
}

function checkCharacters(text: string): HeadFault | undefined {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === HASH) return FAULT.fragment;
    if (code === PERCENT && !isPercentEncoding(text, at)) return FAULT.badPercent;
  }
  return undefined;
}

/** Whether two hex digits follow the percent sign at `at`. What stands behind a host is no hex digit. */
function isPercentEncoding(text: string, at: number): boolean {
  return isAll(text, at + 1, at + 3, HEX);
}

/** `http://authority/path`, forwarded in origin form. */
function parseAbsolute(method: string, text: string): Target | HeadFault {
  const scheme = /^https?:\/\//i.exec(text);
  if (scheme === null) return FAULT.badTarget;
  // RFC 9110 section 7.4: what asks for a secured connection is not answered on one that is not.
  if (scheme[0].length === "https://".length) return FAULT.misdirected;
  const start = scheme[0].length;
  const rest = text.slice(start).search(/[/?]/);
  const authority = rest < 0 ? text.slice(start) : text.slice(start, start + rest);
  if (authority.includes("@")) return FAULT.userinfo;
  if (authority === "" || !isHostValue(authority)) return FAULT.badAuthority;
  const path = rest < 0 ? "" : text.slice(start + rest);
  // RFC 9112 section 3.2.4: OPTIONS of a server as a whole loses its path on the way.
  if (path === "") return { origin: method === "OPTIONS" ? "*" : "/", authority };
  return { origin: path.startsWith("?") ? `/${path}` : path, authority };
}

/**
 * Whether a text is `host [ ":" port ]` (RFC 9110 section 7.2): a name, an IPv4 address or an IP literal in
 * brackets, without user information.
 */
export function isHostValue(text: string): boolean {
  if (text === lastHostValue) return true;
  if (!isHost(text)) return false;
  lastHostValue = text;
  return true;
}

/** Most requests in a row name the same host; comparing is cheaper than reading it again (the get-64 row). */
let lastHostValue = "-";

function isHost(text: string): boolean {
  if (text.charCodeAt(0) === 0x5b) {
    const end = text.indexOf("]");
    return end > 1 && isIpv6(text, 1, end) && isPort(text, end + 1);
  }
  const colon = text.indexOf(":");
  const end = colon < 0 ? text.length : colon;
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if ((classOf(code) & HOST) === 0 || code === 0x5b || code === 0x5d) return false;
    if (code === PERCENT && !isPercentEncoding(text, at)) return false;
  }
  return end > 0 && isPort(text, end);
}

function isIpv6(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if ((classOf(code) & HEX) === 0 && code !== 0x3a && code !== 0x2e) return false;
  }
  return true;
}

/** From `start` on nothing, or a colon and at most five digits that are a port. */
function isPort(text: string, start: number): boolean {
  if (start === text.length) return true;
  if (text.charCodeAt(start) !== 0x3a) return false;
  const digits = text.length - start - 1;
  if (digits === 0) return true;
  return digits <= 5 && isAll(text, start + 1, text.length, DIGIT) && Number(text.slice(start + 1)) <= 65_535;
}
