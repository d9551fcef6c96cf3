/** A backend's answer, and what the client gets of it. */
export interface ResponseCase {
  readonly rule: string;
  readonly name: string;
  /** Of the request. Default a GET in HTTP/1.1. */
  readonly request?: string;
  /** What the backend sends, and whether it ends the connection then. */
  readonly answer: string;
  readonly after?: "end" | "reset";
  /** What the client gets, to the byte; or the status of our own reply. */
  readonly gets: string | 502;
  /** How the client's connection goes on. */
  readonly client: "kept" | "ended" | "cut";
  /** Whether the backend's connection serves the next request. */
  readonly backend: "kept" | "closed";
}

/** What becomes of both connections, and what else a case may say. */
export type Fate = Pick<ResponseCase, "client" | "backend"> &
  Pick<Partial<ResponseCase>, "request" | "after">;

const KEPT: Fate = { client: "kept", backend: "kept" };

/** An answer that is passed on; unless said otherwise both connections serve on. */
export function passed(
  rule: string,
  name: string,
  answer: string,
  gets: string,
  fate: Partial<Fate> = {},
): ResponseCase {
  return { rule, name, answer, gets, ...KEPT, ...fate };
}

/** An answer that makes no sense: 502, the backend's connection closed, the client's kept. */
export function invalid(rule: string, name: string, answer: string, fate: Partial<Fate> = {}): ResponseCase {
  return { rule, name, answer, gets: 502, client: "kept", backend: "closed", ...fate };
}

/** A 200 with these field lines. */
export function ok(fields: string, body = ""): string {
  return `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
}

/** The framing line as the proxy writes it. */
export const CHUNKED = "transfer-encoding: chunked\r\n";

/** A bodiless request with these field lines besides Host. */
export function request(line: string, fields = ""): string {
  return `${line}\r\nHost: a.example\r\n${fields}\r\n`;
}

export const HEAD = request("HEAD / HTTP/1.1");
export const OLD = request("GET / HTTP/1.0");
export const TAKES_TRAILERS = request("GET / HTTP/1.1", "TE: trailers\r\n");
