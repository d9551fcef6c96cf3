import { KIND } from "../field-kind.js";
import type { BodyFraming, RequestHead } from "../message.js";
import { type ConnectionOptions, connectionOptionsOf } from "./connection-options.js";
import { framingOf, NO_BODY } from "./framing.js";
import { FAULT, faultOfFields, type HeadFault, isFault } from "./head-fault.js";
import type { RawFields } from "./raw-fields.js";
import { classOf, DIGIT, hasBareLf, isWord, listElements, TOKEN } from "./syntax.js";
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
  readonly upgrade: string | undefined;
  /** Whether the client can use the connection again. */
  readonly keepsAlive: boolean;
  /** As sent, for the access line. */
  readonly rawTarget: string;
  readonly #options: ConnectionOptions;

  constructor(line: RequestLine, target: Target, fields: RawFields, body: BodyFraming) {
    const options = connectionOptionsOf(fields);
    this.#options = options;
    this.method = line.method;
    this.rawTarget = line.target;
    this.target = target.origin;
    this.authority = target.authority ?? fields.valueOf(KIND.host) ?? "";
    this.version = line.isOldVersion ? "HTTP/1.0" : "HTTP/1.1";
    this.fields = fields;
    this.body = body;
    this.keepsAlive = line.isOldVersion ? options.keepAlive && !options.close : !options.close;
    this.expectsContinue = fields.has(KIND.expect) && !line.isOldVersion && body.kind !== "none";
    this.takesTrailers =
      fields.has(KIND.te) && fields.valuesOf(KIND.te).flatMap(listElements).includes("trailers");
    this.upgrade =
      options.upgrade && !line.isOldVersion && body.kind === "none" ? upgradeOf(fields) : undefined;
  }

  get connectionNames(): readonly string[] {
    return this.#options.names;
  }

  value(name: string): string | undefined {
    return this.fields.value(name);
  }
}

/** Only WebSocket is passed on; other offers may be ignored (RFC 9110 section 7.8). */
function upgradeOf(fields: RawFields): string | undefined {
  const value = fields.valueOf(KIND.upgrade);
  return value !== undefined && isWord(value, 0, value.length, "websocket") ? "websocket" : undefined;
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly isOldVersion: boolean;
  /** Where the field lines begin. */
  readonly end: number;
}

/**
 * Request path. Reads a whole request head, from its first byte to the empty line, in one pass. What is not
 * exactly as RFC 9112 says is refused, never mended. `fields` is filled.
 */
export function parseRequestHead(
  text: string,
  fields: RawFields,
  maxFields: number,
): Http1RequestHead | HeadFault {
  const result = parse(text, fields, maxFields);
  // A head that arrives in parts is refused for a bare LF as soon as it shows one; in one piece it must be too.
  return isFault(result) && result.status !== 400 && hasBareLf(text) ? FAULT.bareLf : result;
}

function parse(text: string, fields: RawFields, maxFields: number): Http1RequestHead | HeadFault {
  const line = parseRequestLine(text);
  if (isFault(line)) return line;
  // The last two bytes are the empty line.
  const fieldFault = fields.parse(text, line.end, text.length - 2, maxFields);
  if (fieldFault !== undefined) return faultOfFields(fieldFault);
  const target = parseTarget(line.method, line.target);
  if (isFault(target)) return target;
  const hostFault = checkHost(fields, target, line.isOldVersion);
  if (hostFault !== undefined) return hostFault;
  const body = framingOf(fields, line.isOldVersion) ?? NO_BODY;
  if (isFault(body)) return body;
  if (line.method === "CONNECT") return FAULT.connect;
  if (line.method === "TRACE" && body.kind !== "none") return FAULT.traceBody;
  if (fields.has(KIND.expect) && !line.isOldVersion) {
    const values = fields.valuesOf(KIND.expect);
    const only = values[0] as string;
    if (values.length !== 1 || !isWord(only, 0, only.length, "100-continue")) return FAULT.badExpectation;
  }
  return new Http1RequestHead(line, target, fields, body);
}

/** `method SP target SP HTTP/1.x CRLF`, with exactly these spaces (RFC 9112 section 3). */
function parseRequestLine(text: string): RequestLine | HeadFault {
  let at = 0;
  while ((classOf(text.charCodeAt(at)) & TOKEN) !== 0) at++;
  if (at === 0 || text.charCodeAt(at) !== SP) return FAULT.badMethod;
  const method = text.slice(0, at);
  const targetStart = ++at;
  for (let code = text.charCodeAt(at); code > SP && code < 0x7f; code = text.charCodeAt(++at));
  if (text.charCodeAt(at) !== SP || at === targetStart) return FAULT.badRequestLine;
  const target = text.slice(targetStart, at++);
  if (!text.startsWith("HTTP/", at)) return FAULT.badVersion;
  at += 5;
  const major = text.charCodeAt(at);
  const minor = text.charCodeAt(at + 2);
  const isVersion = isDigit(major) && text.charCodeAt(at + 1) === 0x2e && isDigit(minor);
  if (!isVersion || text.charCodeAt(at + 3) !== CR || text.charCodeAt(at + 4) !== LF) return FAULT.badVersion;
  if (major !== 0x31 || minor > 0x31) return FAULT.unsupportedVersion;
  return { method, target, isOldVersion: minor === 0x30, end: at + 5 };
}

function isDigit(code: number): boolean {
  return (classOf(code) & DIGIT) !== 0;
}

/** RFC 9112 section 3.2: exactly one Host in HTTP/1.1, and no other authority beside it. */
function checkHost(fields: RawFields, target: Target, isOldVersion: boolean): HeadFault | undefined {
  if (!fields.has(KIND.host)) {
    return isOldVersion ? undefined : FAULT.missingHost;
  }
  const values = fields.valuesOf(KIND.host);
  if (values.length > 1) return FAULT.repeatedHost;
  const host = values[0] as string;
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
