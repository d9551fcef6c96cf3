import { type ErrorPhase, ProxyError } from "../errors.js";
import type { FieldFault } from "./raw-fields.js";

/** Why a head or body is refused: the status of the reply and a few constant words for the client. */
export class HeadFault {
  readonly status: number;
  readonly detail: string;

  constructor(status: number, detail: string) {
    this.status = status;
    this.detail = detail;
  }
}

function fault(status: number, detail: string): HeadFault {
  return new HeadFault(status, detail);
}

/** Every reason, with the section it comes from. */
export const FAULT = {
  // RFC 9112 section 2.2
  bareLf: fault(400, "bare LF in the head"),
  bareCr: fault(400, "bare CR in the head"),
  // RFC 9112 section 3
  badRequestLine: fault(400, "malformed request line"),
  badMethod: fault(400, "method is not a token"),
  badVersion: fault(400, "malformed HTTP version"),
  // RFC 9110 section 15.6.6
  unsupportedVersion: fault(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
  // RFC 9110 section 15.5.15
  targetTooLong: fault(414, "request line over the limit"),
  headTooLarge: fault(431, "head over the limit"),
  tooManyFields: fault(431, "too many fields"),
  // RFC 9112 section 3.2
  badTarget: fault(400, "malformed request target"),
  // RFC 9110 section 7.6.2
  badMaxForwards: fault(400, "malformed Max-Forwards"),
  // RFC 9112 section 3.2
  badPercent: fault(400, "bad percent-encoding in the target"),
  fragment: fault(400, "fragment in the target"),
  userinfo: fault(400, "user information in the authority"),
  badAuthority: fault(400, "malformed authority"),
  missingHost: fault(400, "missing Host"),
  repeatedHost: fault(400, "repeated Host"),
  badHost: fault(400, "malformed Host"),
  hostMismatch: fault(400, "target and Host disagree"),
  // RFC 9110 section 15.5.20
  misdirected: fault(421, "https over a connection that is not secured"),
  // RFC 9110 section 9.3.6: not a forward proxy
  connect: fault(501, "CONNECT is not offered"),
  connectBody: fault(400, "CONNECT with a body"),
  // RFC 9112 section 5
  foldedLine: fault(400, "folded field line"),
  emptyName: fault(400, "empty field name"),
  spaceBeforeColon: fault(400, "white space before the colon of a field"),
  badName: fault(400, "malformed field name"),
  badValue: fault(400, "control character in a field value"),
  // RFC 9112 section 6
  repeatedLength: fault(400, "repeated Content-Length"),
  badLength: fault(400, "malformed Content-Length"),
  lengthAndCoding: fault(400, "Content-Length with Transfer-Encoding"),
  codingInOldVersion: fault(400, "Transfer-Encoding in HTTP/1.0"),
  badCoding: fault(400, "Transfer-Encoding does not end in a single chunked"),
  unknownCoding: fault(501, "transfer coding not implemented"),
  // RFC 9110 section 7.6.2
  traceHere: fault(501, "no TRACE here"),
  // RFC 9110 section 9.3.8
  traceBody: fault(400, "TRACE with a body"),
  // RFC 9110 section 10.1.1
  badExpectation: fault(417, "unknown expectation"),
  // RFC 9110 section 15.5.14
  bodyTooLarge: fault(413, "body over the limit"),
  // RFC 9112 section 7.1
  badChunkSize: fault(400, "malformed chunk size"),
  chunkTooLarge: fault(400, "chunk size overflows"),
  badChunkExtension: fault(400, "malformed chunk extension"),
  chunkLineTooLong: fault(400, "chunk size line over the limit"),
  badChunkEnd: fault(400, "chunk data not followed by CRLF"),
  badTrailers: fault(400, "malformed trailers"),
  trailersTooLarge: fault(431, "trailers over the limit"),
  // RFC 9112 section 4
  badStatusLine: fault(502, "malformed status line"),
} as const satisfies Record<string, HeadFault>;

const OF_FIELDS: Readonly<Record<FieldFault, HeadFault>> = {
  "folded-line": FAULT.foldedLine,
  "empty-name": FAULT.emptyName,
  "space-before-colon": FAULT.spaceBeforeColon,
  "bad-name": FAULT.badName,
  "bad-value": FAULT.badValue,
  "bare-cr": FAULT.bareCr,
  "too-many-fields": FAULT.tooManyFields,
};

/** The fault of a refused field section. */
export function faultOfFields(fieldFault: FieldFault): HeadFault {
  return OF_FIELDS[fieldFault];
}

/** Whether reading ended in a fault. */
export function isFault(value: object): value is HeadFault {
  return value instanceof HeadFault;
}

/** What follows from a fault of a client. */
export function refusalOf({ status, detail }: HeadFault, phase: ErrorPhase): ProxyError {
  return new ProxyError("bad-request", phase, { status, detail });
}
