import { KIND, kindSet } from "../field-kind.js";
import type { FieldList, RequestHead, ResponseHead } from "../message.js";

/** Fields that speak of one connection only (RFC 9110 section 7.6.1), and the framing, which is written anew. */
export const HOP_BY_HOP = kindSet(
  KIND.connection,
  KIND.keepAlive,
  KIND.proxyConnection,
  KIND.proxyAuthenticate,
  KIND.proxyAuthorization,
  KIND.te,
  KIND.trailer,
  KIND.transferEncoding,
  KIND.upgrade,
  KIND.http2Settings,
);

/** Framing fields, written in one spelling. */
const FRAMING = kindSet(KIND.contentLength, KIND.transferEncoding);

/**
 * What must never come in trailers (RFC 9110 section 6.5.1): framing, routing and connection matters, and what
 * we say of the client, since some recipients merge trailers into the head.
 */
const NOT_IN_TRAILERS =
  HOP_BY_HOP |
  FRAMING |
  kindSet(
    KIND.host,
    KIND.expect,
    KIND.forwarded,
    KIND.xForwardedFor,
    KIND.xForwardedProto,
    KIND.xForwardedHost,
    KIND.xForwardedPort,
    KIND.xForwardedOther,
    KIND.xRealIp,
    KIND.via,
    KIND.date,
    KIND.retryAfter,
    KIND.maxForwards,
    KIND.lookAlike,
  );
const NAMES_NOT_IN_TRAILERS: readonly string[] = [
  "age",
  "authorization",
  "cache-control",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "content-language",
  "content-location",
  "expires",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "location",
  "pragma",
  "range",
  "set-cookie",
  "vary",
  "www-authenticate",
];

/**
 * Request path. A request head for a backend. `lines` are the fields to send, without framing; the framing is
 * added here, in the one spelling that fits the body, and where a 100 is asked for that the client did not ask for.
 */
export function requestHeadText(head: RequestHead, lines: string, asksFirst = false): string {
  const expectation = asksFirst && !head.expectsContinue ? "expect: 100-continue\r\n" : "";
  const start = `${head.method} ${head.target} HTTP/1.1\r\n${lines}${expectation}`;
  const trailers = head.takesTrailers ? "te: trailers\r\nconnection: te\r\n" : "";
  switch (head.body.kind) {
    case "length":
      return `${start}${trailers}content-length: ${head.body.length}\r\n\r\n`;
    case "chunked":
      return `${start}${trailers}transfer-encoding: chunked\r\n\r\n`;
    default:
      if (head.upgrade !== undefined)
        return `${start}connection: upgrade\r\nupgrade: ${head.upgrade}\r\n\r\n`;
      return `${start}${trailers}\r\n`;
  }
}

/** How the client's side ends a response. */
export interface ResponseEnding {
  /** Chunked, where the length is not known. */
  readonly isChunked: boolean;
  /** `close`, `keep-alive` or nothing to say. */
  readonly connection: string | undefined;
  /** When the response came, for one that says no Date (RFC 9110 section 6.6.1). */
  readonly date: string;
}

/** Request path. A final response head for a client. */
export function responseHeadText(head: ResponseHead, ending: ResponseEnding): string {
  const drop =
    head.status === 204
      ? HOP_BY_HOP | FRAMING
      : head.body.kind === "length"
        ? HOP_BY_HOP | FRAMING
        : HOP_BY_HOP;
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.fields.serialize(drop, head.connectionNames)}`;
  if (head.body.kind === "length" && head.status !== 204) text += `content-length: ${head.body.length}\r\n`;
  if (ending.isChunked) text += "transfer-encoding: chunked\r\n";
  if (!head.fields.has(KIND.date)) text += `date: ${ending.date}\r\n`;
  if (ending.connection !== undefined) text += `connection: ${ending.connection}\r\n`;
  return `${text}\r\n`;
}

/** A 1xx head, passed on as it came but for what speaks of one connection. */
export function informationalHeadText(head: ResponseHead): string {
  const lines = head.fields.serialize(HOP_BY_HOP | FRAMING, head.connectionNames);
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${lines}\r\n`;
}

/** The 101 that hands the connection over, or without a protocol the 2xx to CONNECT, which has no framing. */
export function switchingHeadText(head: ResponseHead, protocol: string | undefined): string {
  const lines = head.fields.serialize(HOP_BY_HOP | FRAMING, head.connectionNames);
  const upgrade = protocol === undefined ? "" : `connection: upgrade\r\nupgrade: ${protocol}\r\n`;
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${lines}${upgrade}\r\n`;
}

/** The size line of a chunk. A chunk is written only with its bytes in hand. */
export function chunkStart(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

/** What follows the data of a chunk. */
export const CHUNK_END = "\r\n";

/** The last chunk with its trailers, but for those that the head's Connection field names. */
export function lastChunk(trailers: FieldList | undefined, connectionNames: readonly string[]): string {
  if (trailers === undefined) return "0\r\n\r\n";
  const names =
    connectionNames.length === 0 ? NAMES_NOT_IN_TRAILERS : [...NAMES_NOT_IN_TRAILERS, ...connectionNames];
  return `0\r\n${trailers.serialize(NOT_IN_TRAILERS, names)}\r\n`;
}

/** What a reply of our own says besides its body. */
export interface ReplyOptions {
  /** Whether it ends the connection. */
  readonly close: boolean;
  readonly withBody: boolean;
  readonly date: string;
  /** What the client of a 503 is told to wait; nothing by default. */
  readonly retryAfterMs?: number;
}

/** A whole reply of our own. */
export function replyText(status: number, body: string, options: ReplyOptions): string {
  const connection = options.close ? "connection: close\r\n" : "";
  const retrySeconds = Math.ceil((options.retryAfterMs ?? 0) / 1_000);
  const retry = status === 503 && retrySeconds > 0 ? `retry-after: ${retrySeconds}\r\n` : "";
  const head =
    `HTTP/1.1 ${status} ${reasonOf(status)}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
    `cache-control: no-store\r\ndate: ${options.date}\r\n${retry}${connection}\r\n`;
  return options.withBody ? head + body : head;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

function reasonOf(status: number): string {
  return REASONS[status] ?? "Error";
}
