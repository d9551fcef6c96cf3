/** A request that is refused: its status, and the connection closed. */
export interface RefusedCase {
  /** Where it is written. */
  readonly rule: string;
  readonly name: string;
  readonly send: string;
  readonly status: number;
  /** Only its body is at fault, so that its head may have reached the backend; the whole request never does. */
  readonly isInBody: boolean;
}

/** A request that is forwarded, to the byte. */
export interface ForwardedCase {
  readonly rule: string;
  readonly name: string;
  readonly send: string;
  /** What the backend gets. */
  readonly gets: string;
}

export function refused(rule: string, name: string, status: number, send: string): RefusedCase {
  return { rule, name, send, status, isInBody: false };
}

/** Refused for its body. */
export function refusedBody(rule: string, name: string, status: number, send: string): RefusedCase {
  return { rule, name, send, status, isInBody: true };
}

/** A GET with these field lines besides Host. */
export function get(fields = "", target = "/"): string {
  return `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
}

/** A POST with these field lines besides Host, and what follows the head. */
export function post(fields: string, body = ""): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n${body}`;
}

/** A chunked POST with this framed body. */
export function chunked(body: string): string {
  return post("Transfer-Encoding: chunked\r\n", body);
}

/** The field lines the proxy adds for a client it does not trust. */
export function added(host = "a.example"): string {
  return `x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: ${host}\r\nvia: 1.1 pilotfish\r\n`;
}

/** A forwarded request: its line, the client's field lines that stay, the proxy's framing lines, its body. */
export function forwarded(line: string, kept: string, framing = "", body = "", host = "a.example"): string {
  return `${line}\r\n${kept}${added(host)}${framing}\r\n${body}`;
}

export function accepted(rule: string, name: string, send: string, gets: string): ForwardedCase {
  return { rule, name, send, gets };
}
