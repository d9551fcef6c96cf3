import { viewOf } from "../connection.js";
import { KIND } from "../field-kind.js";
import type { BodyFraming, RequestHead } from "../message.js";
import { type ConnectionOptions, connectionOptionsOf } from "./connection-options.js";
import { framingOf, NO_BODY } from "./framing.js";
import { FAULT, faultOfFields, type HeadFault, isFault } from "./head-fault.js";
import type { RawFields } from "./raw-fields.js";
import { CLASS, classOf, DIGIT, hasBareLf, isAll, isWord, listElements, TOKEN } from "./syntax.js";
import { isHostValue, parseTarget, type Target } from "./target.js";

const SP = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** A request head as it stood on the wire. */
export class Http1RequestHead implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly version: string;
  readonly fields: RawFields;
  readonly body: BodyFraming;
  readonly expectsContinue: boolean;
  readonly takesTrailers: boolean;
  readonly forwardsLeft: number | undefined;
  readonly upgrade: string | undefined;
  readonly isConnect: boolean;
  /** Whether the client can use the connection again. */
  readonly keepsAlive: boolean;
  /** As sent, for the access line. */
  readonly rawTarget: string;
  readonly #options: ConnectionOptions;

  constructor(
    method: string,
    rawTarget: string,
    target: Target,
    fields: RawFields,
    body: BodyFraming,
    forwardsLeft: number | undefined,
    isOldVersion: boolean,
  ) {
    const options = connectionOptionsOf(fields);
    this.#options = options;
    this.method = method;
    this.rawTarget = rawTarget;
    this.target = target.origin;
    this.authority = target.authority ?? fields.valueOf(KIND.host) ?? "";
    this.version = isOldVersion ? "HTTP/1.0" : "HTTP/1.1";
    this.fields = fields;
    this.body = body;
    this.keepsAlive = isOldVersion ? options.keepAlive && !options.close : !options.close;
    this.expectsContinue = fields.has(KIND.expect) && !isOldVersion && hasContent(body);
    this.takesTrailers =
      fields.has(KIND.te) && fields.valuesOf(KIND.te).flatMap(listElements).includes("trailers");
    this.forwardsLeft = forwardsLeft;
    this.isConnect = method === "CONNECT";
    const maySwitch = options.upgrade && !isOldVersion && body.kind === "none" && !this.isConnect;
    this.upgrade = maySwitch ? upgradeOf(fields) : undefined;
  }

  get connectionNames(): readonly string[] {
    return this.#options.names;
  }

  value(name: string): string | undefined {
    return this.fields.value(name);
  }
}

/** A length of zero announces no content, so nobody waits with it for a 100 (RFC 9110 section 10.1.1). */
function hasContent(body: BodyFraming): boolean {
  return body.kind === "length" ? body.length > 0 : body.kind !== "none";
}

/**
 * Only WebSocket is passed on; other offers may be ignored (RFC 9110 section 7.8). Behind a switch nothing is looked at
 * any more, so that with h2c requests would pass every rule of this proxy.
 */
function upgradeOf(fields: RawFields): string | undefined {
  const value = fields.valueOf(KIND.upgrade);
  return value !== undefined && isWord(value, 0, value.length, "websocket") ? "websocket" : undefined;
}

interface RequestLine {
  readonly isOldVersion: boolean;
  /** Where the method, the target and the line end. */
  readonly methodEnd: number;
  readonly targetEnd: number;
  readonly end: number;
}

/** Methods as one string each: a lookup by them costs no hashing. */
const METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"];

/**
 * Request path. Reads a request head of `bytes[start..stop)`, from its first byte to the empty line, in one pass.
 * What is not exactly as RFC 9112 says is refused, never mended. `fields` is filled. Undefined when the bytes end
 * before the head does; a fault of such a part may be another than the whole head's. CONNECT is refused unless allowed.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  stop: number,
  fields: RawFields,
  maxFields: number,
  allowsConnect = false,
): Http1RequestHead | HeadFault | undefined {
  const result = parse(bytes, start, stop, fields, maxFields, allowsConnect);
  if (result === undefined || !isFault(result) || result.status === 400) return result;
  // A head that arrives in parts is refused for a bare LF as soon as it shows one; in one piece it must be too.
  return hasBareLf(bytes.toString("latin1", start, stop)) ? FAULT.bareLf : result;
}

function parse(
  bytes: Buffer,
  start: number,
  stop: number,
  fields: RawFields,
  maxFields: number,
  allowsConnect: boolean,
): Http1RequestHead | HeadFault | undefined {
  const line = parseRequestLine(bytes, start, stop);
  if (isFault(line)) return line;
  const fieldFault = fields.parse(bytes, start, line.end, stop, maxFields);
  if (fieldFault === "unfinished") return undefined;
  if (fieldFault !== undefined) return faultOfFields(fieldFault);
  const text = viewOf(bytes).latin1Slice(start, start + fields.headBytes);
  fields.text = text;
  const method = methodOf(text, line.methodEnd - start);
  const rawTarget = text.slice(line.methodEnd + 1 - start, line.targetEnd - start);
  const target = parseTarget(method, rawTarget);
  if (isFault(target)) return target;
  const hostFault = checkHost(fields, target, line.isOldVersion);
  if (hostFault !== undefined) return hostFault;
  const body = framingOf(fields, line.isOldVersion) ?? NO_BODY;
  if (isFault(body)) return body;
  if (method === "CONNECT" && !allowsConnect) return FAULT.connect;
  // RFC 9110 section 9.3.6: it has none, so that what follows is the tunnel's or nobody's.
  if (method === "CONNECT" && hasContent(body)) return FAULT.connectBody;
  if (method === "TRACE" && body.kind !== "none") return FAULT.traceBody;
  if (fields.has(KIND.expect) && !line.isOldVersion) {
    const values = fields.valuesOf(KIND.expect);
    const only = values[0] as string;
    if (values.length !== 1 || !isWord(only, 0, only.length, "100-continue")) return FAULT.badExpectation;
  }
  const forwardsLeft = fields.has(KIND.maxForwards) ? forwardsLeftOf(method, fields) : undefined;
  if (forwardsLeft === -1) return FAULT.badMaxForwards;
  const content = method === "CONNECT" ? NO_BODY : body;
  return new Http1RequestHead(method, rawTarget, target, fields, content, forwardsLeft, line.isOldVersion);
}

/** Max-Forwards counts for OPTIONS and TRACE alone (RFC 9110 section 7.6.2); -1 when it is no single number. */
function forwardsLeftOf(method: string, fields: RawFields): number | undefined {
  if (method !== "OPTIONS" && method !== "TRACE") return undefined;
  const value = fields.valueOf(KIND.maxForwards) ?? "";
  const isNumber = value.length <= FORWARDS_DIGITS_MAX && isAll(value, 0, value.length, DIGIT);
  return isNumber && !fields.isRepeated(KIND.maxForwards) ? Number(value) : -1;
}

/** Nobody counts further than this. */
const FORWARDS_DIGITS_MAX = 9;

function methodOf(text: string, end: number): string {
  for (const method of METHODS) if (method.length === end && text.startsWith(method)) return method;
  return text.slice(0, end);
}

/** `method SP target SP HTTP/1.x CRLF`, with exactly these spaces (RFC 9112 section 3). */
function parseRequestLine(bytes: Buffer, start: number, stop: number): RequestLine | HeadFault {
  let at = start;
  while (at < stop && ((CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at++;
  if (at === start || bytes[at] !== SP) return FAULT.badMethod;
  const methodEnd = at++;
  while (at < stop && (bytes[at] as number) > SP && (bytes[at] as number) < 0x7f) at++;
  if (bytes[at] !== SP || at === methodEnd + 1) return FAULT.badRequestLine;
  const targetEnd = at++;
  if (at + VERSION_LINE_BYTES > stop) return FAULT.badVersion;
  for (let offset = 0; offset < VERSION_PREFIX.length; offset++)
    if (bytes[at++] !== VERSION_PREFIX[offset]) return FAULT.badVersion;
  const major = bytes[at] as number;
  const minor = bytes[at + 2] as number;
  const isVersion = isDigit(major) && bytes[at + 1] === 0x2e && isDigit(minor);
  if (!isVersion || bytes[at + 3] !== CR || bytes[at + 4] !== LF) return FAULT.badVersion;
  if (major !== 0x31 || minor > 0x31) return FAULT.unsupportedVersion;
  return { methodEnd, targetEnd, isOldVersion: minor === 0x30, end: at + 5 };
}

/** `HTTP/`, and the bytes of a whole `HTTP/1.1` with CRLF. */
const VERSION_PREFIX = [0x48, 0x54, 0x54, 0x50, 0x2f];
const VERSION_LINE_BYTES = 10;

function isDigit(code: number): boolean {
  return (classOf(code) & DIGIT) !== 0;
}

/** RFC 9112 section 3.2: exactly one Host in HTTP/1.1, and no other authority beside it. */
function checkHost(fields: RawFields, target: Target, isOldVersion: boolean): HeadFault | undefined {
  if (!fields.has(KIND.host)) {
    return isOldVersion ? undefined : FAULT.missingHost;
  }
  if (fields.isRepeated(KIND.host)) return FAULT.repeatedHost;
  const host = fields.valueOf(KIND.host) ?? "";
  if (!isHostValue(host)) return FAULT.badHost;
  if (target.authority !== undefined && !isSameAuthority(target.authority, host)) return FAULT.hostMismatch;
  return undefined;
}

function isSameAuthority(a: string, b: string): boolean {
  return withoutDefaultPort(a) === withoutDefaultPort(b);
}

function withoutDefaultPort(authority: string): string {
  return authority.toLowerCase().replace(/:(?:80)?$/, "");
}
