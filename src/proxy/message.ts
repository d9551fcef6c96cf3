import type { Connection } from "./connection.js";
import type { ProxyError } from "./errors.js";
import type { FieldKind, KindSet } from "./field-kind.js";

/**
 * Request path. What an exchange sees of a request and its response, whatever protocol carries them. Each side
 * has two halves: the stream, which the exchange drives, and the receiver, which the exchange is.
 */

/** The fields of a head, in order, read only when asked for. */
export interface FieldList {
  readonly count: number;
  /** The kinds that occur. */
  readonly kinds: KindSet;
  kindAt(index: number): FieldKind;
  nameAt(index: number): string;
  valueAt(index: number): string;
  has(kind: FieldKind): boolean;
  /** First value of a kind. */
  valueOf(kind: FieldKind): string | undefined;
  valuesOf(kind: FieldKind): readonly string[];
  /** First value of a field named in lower case. */
  value(name: string): string | undefined;
  /** All lines with their CRLF, as HTTP/1 writes them, but for the kinds and the names (lower case) given. */
  serialize(dropKinds: KindSet, dropNames: readonly string[]): string;
}

/** How the end of a body is told (RFC 9112 section 6). */
export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  /** A response's only: the end of the connection. */
  | { readonly kind: "until-close" };

/** What a request says before its body. */
export interface RequestHead {
  readonly method: string;
  /** In origin form (`/path?query`) or `*`. */
  readonly target: string;
  /** Host and perhaps port. */
  readonly authority: string;
  /** `HTTP/1.0`, `HTTP/1.1`. */
  readonly version: string;
  readonly fields: FieldList;
  readonly body: BodyFraming;
  /** Names the Connection field lists, which are not forwarded. */
  readonly connectionNames: readonly string[];
  /** The client waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** The client can take trailers (`TE: trailers`). */
  readonly takesTrailers: boolean;
  /** Over how many more proxies it may go (Max-Forwards of OPTIONS and TRACE); undefined for no limit. */
  readonly forwardsLeft: number | undefined;
  /** `websocket` when the client asks to switch, undefined otherwise. */
  readonly upgrade: string | undefined;
  /** It asks for a tunnel. */
  readonly isConnect: boolean;
  /** First value of a field named in lower case. */
  value(name: string): string | undefined;
}

/** What a response says before its body. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: FieldList;
  readonly body: BodyFraming;
  readonly connectionNames: readonly string[];
  /** Bytes of the head on the wire. */
  readonly headBytes: number;
}

/** The client's side of one exchange. */
export interface DownstreamStream {
  readonly client: ClientFacts;
  /** Bytes read from and sent to the client for this exchange so far, heads included. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Whether the head of a final response was given to `sendHead` or `fail`. */
  readonly isAnswered: boolean;
  /** Lets the body come; before, and between `pauseBody` and this, none is delivered. */
  readBody(): void;
  pauseBody(): void;
  /** Passes a 1xx on; dropped where the client's version knows none. */
  sendInformational(head: ResponseHead): void;
  sendHead(head: ResponseHead): void;
  /** False asks to hold back until `onDownstreamDrain`. The bytes are valid during the call only. */
  sendBody(bytes: Buffer): boolean;
  /** The response is whole. */
  sendEnd(trailers: FieldList | undefined): void;
  /** Writes what was held back to share a write with what follows. False as in `sendBody`. */
  flush(): boolean;
  /** Replies with the error, or cuts the connection when a response was begun. */
  fail(error: ProxyError, pool: string | undefined): void;
  /** Answers 101, or the 2xx of a CONNECT, and hands the connection over, with what was read of it already. */
  switchProtocol(head: ResponseHead): SwitchedConnection;
  /** The exchange is over, its lease given back: on to the next request, or to the end of the connection. */
  done(): void;
}

/** A connection that became a tunnel. */
export interface SwitchedConnection {
  readonly connection: Connection;
  readonly firstBytes: Buffer | undefined;
}

/** What is known of the client. */
export interface ClientFacts {
  /** IP literal; empty on a unix socket. */
  readonly remoteAddress: string;
  /** Whether its X-Forwarded-* and Forwarded fields are believed. */
  readonly isTrusted: boolean;
  readonly scheme: "http" | "https";
  /** Address and port it connected to. */
  readonly localAuthority: string;
}

/** What the client's side tells an exchange. */
export interface DownstreamReceiver {
  onRequestBody(bytes: Buffer): void;
  onRequestEnd(trailers: FieldList | undefined): void;
  /** No more bytes of the request are at hand: what was held back is to be written. */
  onRequestPause(): void;
  onDownstreamDrain(): void;
  /** Whether a client that will send no more is taken to have left, rather than to wait for its answer. */
  readonly endsWithClient: boolean;
  /** The client left, was too slow, or broke the protocol in its body. */
  onDownstreamFailure(error: ProxyError): void;
  /** The session is ended at once. */
  cut(): void;
}

/** The backend's side of one attempt. */
export interface UpstreamStream {
  /** Whether the connection had served before. */
  readonly isReused: boolean;
  /** Whether the backend may have begun to execute the request. */
  readonly isSent: boolean;
  /**
   * `lines` are the fields to send, without framing. Written together with what follows before `flush`. `asksFirst` says
   * that the body waits for a 100: until that, or a byte of the body, nothing was executed.
   */
  sendHead(head: RequestHead, lines: string, asksFirst?: boolean): void;
  /** False asks to hold back until `onUpstreamDrain`. The bytes are valid during the call only. */
  sendBody(bytes: Buffer): boolean;
  sendEnd(trailers: FieldList | undefined): void;
  /** Writes what was held back. False as in `sendBody`. */
  flush(): boolean;
  pause(): void;
  resume(): void;
  /** Ends the attempt before its time: the connection is closed and the receiver not told. */
  cancel(): void;
}

/** What the backend's side tells an exchange. */
export interface UpstreamReceiver {
  onInformational(head: ResponseHead): void;
  onResponseHead(head: ResponseHead): void;
  onResponseBody(bytes: Buffer): void;
  /** The response is whole, and the connection was given back or closed already. */
  onResponseEnd(trailers: FieldList | undefined): void;
  /** No more bytes of the response are at hand: what was held back is to be written. */
  onResponsePause(): void;
  onUpstreamDrain(): void;
  onUpstreamFailure(error: ProxyError): void;
  /** 101 with the protocol asked for, or 2xx to CONNECT: from here on the connection is the exchange's. */
  onSwitched(head: ResponseHead, switched: SwitchedConnection): void;
}
