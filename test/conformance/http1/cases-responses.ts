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

type Fate = Pick<ResponseCase, "client" | "backend"> & Pick<Partial<ResponseCase>, "request" | "after">;

const KEPT: Fate = { client: "kept", backend: "kept" };

function passed(
  rule: string,
  name: string,
  answer: string,
  gets: string,
  fate: Partial<Fate> = {},
): ResponseCase {
  return { rule, name, answer, gets, ...KEPT, ...fate };
}

/** An answer that makes no sense: 502, the backend's connection closed, the client's kept. */
function invalid(rule: string, name: string, answer: string, fate: Partial<Fate> = {}): ResponseCase {
  return { rule, name, answer, gets: 502, client: "kept", backend: "closed", ...fate };
}

const ok = (fields: string, body = "") => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const HELLO = "5\r\nhello\r\n0\r\n\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";
const request = (line: string, fields = "") => `${line}\r\nHost: a.example\r\n${fields}\r\n`;
const HEAD = request("HEAD / HTTP/1.1");
const OLD = request("GET / HTTP/1.0");
const OLD_KEPT = request("GET / HTTP/1.0", "Connection: keep-alive\r\n");
const CLOSE = request("GET / HTTP/1.1", "Connection: close\r\n");
const TAKES_TRAILERS = request("GET / HTTP/1.1", "TE: trailers\r\n");

/** Answers that are passed on. */
export const PASSED_RESPONSES: readonly ResponseCase[] = [
  passed(
    "RFC 9112 6.2",
    "a length",
    ok("Content-Length: 5\r\n", "hello"),
    ok("content-length: 5\r\n", "hello"),
  ),
  passed("RFC 9112 6.2", "a length of zero", ok("Content-Length: 0\r\n"), ok("content-length: 0\r\n")),
  passed("RFC 9112 7.1", "chunked", ok("Transfer-Encoding: chunked\r\n", HELLO), ok(CHUNKED, HELLO)),
  passed(
    "RFC 9112 7.1",
    "chunks that came together, as one",
    ok(CHUNKED, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    ok(CHUNKED, "2\r\nab\r\n0\r\n\r\n"),
  ),
  passed("RFC 9112 7.1.1", "extensions go", ok(CHUNKED, "5;a=b\r\nhello\r\n0;c\r\n\r\n"), ok(CHUNKED, HELLO)),
  passed(
    "RFC 9112 7.1.2",
    "trailers go unless they are asked for",
    ok(CHUNKED, "5\r\nhello\r\n0\r\nA: 1\r\n\r\n"),
    ok(CHUNKED, HELLO),
  ),
  passed(
    "RFC 9112 7.1.2",
    "trailers stay when they are asked for",
    ok(CHUNKED, "0\r\nA: 1\r\nSet-Cookie: x\r\n\r\n"),
    ok(CHUNKED, "0\r\nA: 1\r\n\r\n"),
    { request: TAKES_TRAILERS },
  ),
  passed(
    "RFC 9112 6.3",
    "the end of the connection ends the body: chunked",
    ok("", "hello"),
    ok(CHUNKED, HELLO),
    { after: "end", backend: "closed" },
  ),
  passed("RFC 9112 6.3", "an empty body up to the end of the connection", ok(""), ok(CHUNKED, "0\r\n\r\n"), {
    after: "end",
    backend: "closed",
  }),
  passed(
    "RFC 9112 6.3",
    "an answer of HTTP/1.0 up to its end",
    "HTTP/1.0 200 OK\r\n\r\nhello",
    ok(CHUNKED, HELLO),
    { after: "end", backend: "closed" },
  ),
  passed(
    "RFC 9112 6.3",
    "for HTTP/1.0 a chunked body ends with the connection",
    ok(CHUNKED, HELLO),
    ok("connection: close\r\n", "hello"),
    { request: OLD_KEPT, client: "ended" },
  ),
  passed(
    "RFC 9112 6.3",
    "for HTTP/1.0 an unsized body ends with the connection",
    ok("", "hello"),
    ok("connection: close\r\n", "hello"),
    { request: OLD, after: "end", client: "ended", backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "HTTP/1.0 closes",
    ok("Content-Length: 1\r\n", "x"),
    ok("content-length: 1\r\nconnection: close\r\n", "x"),
    { request: OLD, client: "ended" },
  ),
  passed(
    "RFC 9112 9.3",
    "HTTP/1.0 with keep-alive is kept",
    ok("Content-Length: 1\r\n", "x"),
    ok("content-length: 1\r\nconnection: keep-alive\r\n", "x"),
    { request: OLD_KEPT },
  ),
  passed(
    "RFC 9112 9.6",
    "the client asks to close",
    ok("Content-Length: 1\r\n", "x"),
    ok("content-length: 1\r\nconnection: close\r\n", "x"),
    { request: CLOSE, client: "ended" },
  ),
  passed(
    "RFC 9112 9.6",
    "the client asks to close and to be kept",
    ok("Content-Length: 1\r\n", "x"),
    ok("content-length: 1\r\nconnection: close\r\n", "x"),
    { request: request("GET / HTTP/1.1", "Connection: keep-alive, close\r\n"), client: "ended" },
  ),
  passed(
    "RFC 9112 9.6",
    "the backend asks to close",
    ok("Content-Length: 1\r\nConnection: close\r\n", "x"),
    ok("content-length: 1\r\n", "x"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "a backend of HTTP/1.0 closes",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ok("content-length: 1\r\n", "x"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "a backend of HTTP/1.0 with keep-alive is kept",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
    ok("content-length: 1\r\n", "x"),
  ),
  passed(
    "RFC 9110 9.3.2",
    "HEAD with a length has no body",
    ok("Content-Length: 5\r\n"),
    ok("Content-Length: 5\r\n"),
    { request: HEAD },
  ),
  passed("RFC 9110 9.3.2", "HEAD with a coding has no body", ok("Transfer-Encoding: chunked\r\n"), ok(""), {
    request: HEAD,
  }),
  passed("RFC 9110 9.3.2", "HEAD without framing has no body", ok(""), ok(""), { request: HEAD }),
  passed(
    "RFC 9110 9.3.2",
    "HEAD with a body all the same",
    ok("Content-Length: 5\r\n", "hello"),
    ok("Content-Length: 5\r\n"),
    { request: HEAD, backend: "closed" },
  ),
  passed("RFC 9110 15.3.5", "204", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
  passed(
    "RFC 9110 15.3.5",
    "204 with a length",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
  ),
  passed(
    "RFC 9110 15.3.5",
    "204 with a coding",
    "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
  ),
  passed(
    "RFC 9110 15.3.5",
    "204 with a body all the same",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 204 No Content\r\n\r\n",
    { backend: "closed" },
  ),
  passed(
    "RFC 9110 15.4.5",
    "304",
    "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
  ),
  passed(
    "RFC 9110 15.4.5",
    "304 with a length has no body",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  ),
  passed(
    "RFC 9110 15.4.5",
    "304 with a coding has no body",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\n\r\n",
  ),
  passed(
    "RFC 9110 15.4.5",
    "304 with a body all the same",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    { backend: "closed" },
  ),
  passed(
    "RFC 9110 15.3.6",
    "205 with a length of zero",
    "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
  ),
  passed(
    "RFC 9112 9.3",
    "extra bytes behind the body",
    ok("Content-Length: 2\r\n", "okMORE"),
    ok("content-length: 2\r\n", "ok"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "an extra CRLF behind the body",
    ok("Content-Length: 2\r\n", "ok\r\n"),
    ok("content-length: 2\r\n", "ok"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "a second answer behind the first",
    ok("Content-Length: 2\r\n", `ok${ok("Content-Length: 4\r\n", "evil")}`),
    ok("content-length: 2\r\n", "ok"),
    { backend: "closed" },
  ),
  passed("RFC 9112 9.3", "extra bytes behind the last chunk", ok(CHUNKED, `${HELLO}x`), ok(CHUNKED, HELLO), {
    backend: "closed",
  }),
  passed(
    "RFC 9112 4",
    "no reason, and no space before it",
    "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
  ),
  passed(
    "RFC 9112 4",
    "an empty reason",
    "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
  ),
  passed(
    "RFC 9112 4",
    "a reason of many words and bytes",
    "HTTP/1.1 418 I'm a\tt\xe9apot \r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 418 I'm a\tt\xe9apot \r\ncontent-length: 0\r\n\r\n",
  ),
  passed(
    "RFC 9110 15",
    "a status nobody knows",
    "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 299 Odd\r\ncontent-length: 0\r\n\r\n",
  ),
  passed(
    "RFC 9110 15",
    "an error of the backend's own",
    "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
    "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy",
  ),
  passed(
    "RFC 9110 8.6",
    "a length with zeros before it",
    ok("Content-Length: 002\r\n", "ok"),
    ok("content-length: 2\r\n", "ok"),
  ),
  passed(
    "RFC 9110 7.6.1",
    "what speaks of the connection goes",
    ok(
      "Connection: keep-alive, X-Gone\r\nKeep-Alive: timeout=5\r\nX-Gone: 1\r\nA: 1\r\nProxy-Connection: x\r\nContent-Length: 0\r\n",
    ),
    ok("A: 1\r\ncontent-length: 0\r\n"),
  ),
  passed(
    "RFC 9110 7.8",
    "an offer to upgrade goes",
    ok("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"),
    ok("content-length: 0\r\n"),
  ),
  passed(
    "RFC 9110 5.3",
    "fields in their order",
    ok("Set-Cookie: a\r\nB: 1\r\nSet-Cookie: c\r\nContent-Length: 0\r\n"),
    ok("Set-Cookie: a\r\nB: 1\r\nSet-Cookie: c\r\ncontent-length: 0\r\n"),
  ),
  passed(
    "RFC 9110 15.2",
    "1xx before the answer",
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\n\r\n${ok("Content-Length: 0\r\n")}`,
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok("content-length: 0\r\n")}`,
  ),
  passed(
    "RFC 9110 15.2",
    "an unasked 100",
    `HTTP/1.1 100 Continue\r\n\r\n${ok("Content-Length: 0\r\n")}`,
    `HTTP/1.1 100 Continue\r\n\r\n${ok("content-length: 0\r\n")}`,
  ),
  passed(
    "RFC 9112 6.1",
    "framing in a 1xx goes",
    `HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n${ok("Content-Length: 0\r\n")}`,
    `HTTP/1.1 102 Processing\r\n\r\n${ok("content-length: 0\r\n")}`,
  ),
  passed(
    "RFC 9110 15.2",
    "no 1xx for HTTP/1.0",
    `HTTP/1.1 103 Early Hints\r\n\r\n${ok("Content-Length: 0\r\n")}`,
    ok("content-length: 0\r\nconnection: close\r\n"),
    { request: OLD, client: "ended" },
  ),
  passed(
    "RFC 9110 15.2",
    "sixteen 1xx",
    "HTTP/1.1 102 P\r\n\r\n".repeat(16) + ok("Content-Length: 0\r\n"),
    "HTTP/1.1 102 P\r\n\r\n".repeat(16) + ok("content-length: 0\r\n"),
  ),
  passed(
    "RFC 9112 8",
    "a body shorter than its length",
    ok("Content-Length: 5\r\n", "hel"),
    ok("content-length: 5\r\n", "hel"),
    { after: "end", client: "cut", backend: "closed" },
  ),
  passed(
    "RFC 9112 8",
    "a chunked body without its end",
    ok(CHUNKED, "5\r\nhello\r\n"),
    ok(CHUNKED, "5\r\nhello\r\n"),
    { after: "end", client: "cut", backend: "closed" },
  ),
  passed("RFC 9112 8", "a chunk cut short", ok(CHUNKED, "5\r\nhel"), ok(CHUNKED, "3\r\nhel\r\n"), {
    after: "end",
    client: "cut",
    backend: "closed",
  }),
  passed(
    "RFC 9112 8",
    "a last chunk without its empty line",
    ok(CHUNKED, "5\r\nhello\r\n0\r\n"),
    ok(CHUNKED, "5\r\nhello\r\n"),
    { after: "end", client: "cut", backend: "closed" },
  ),
  passed(
    "RFC 9112 7.1",
    "a bad chunk size in the middle",
    ok(CHUNKED, "5\r\nhello\r\nx\r\n"),
    ok(CHUNKED, "5\r\nhello\r\n"),
    { client: "cut", backend: "closed" },
  ),
  passed(
    "RFC 9112 7.1",
    "chunk data longer than its size",
    ok(CHUNKED, "4\r\nhello\r\n0\r\n\r\n"),
    ok(CHUNKED, "4\r\nhell\r\n"),
    { client: "cut", backend: "closed" },
  ),
  passed(
    "RFC 9112 8",
    "for HTTP/1.0 a chunked body without its end",
    ok(CHUNKED, "5\r\nhello\r\n"),
    ok("connection: close\r\n", "hello"),
    { request: OLD, after: "end", client: "cut", backend: "closed" },
  ),
  passed(
    "RFC 9112 8",
    "for HTTP/1.0 a body shorter than its length",
    ok("Content-Length: 5\r\n", "hel"),
    ok("content-length: 5\r\nconnection: close\r\n", "hel"),
    { request: OLD, after: "end", client: "cut", backend: "closed" },
  ),
];

/** Answers that make no sense. */
export const INVALID_RESPONSES: readonly ResponseCase[] = [
  invalid(
    "RFC 9112 6.3",
    "a length and a coding",
    ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HELLO),
  ),
  invalid(
    "RFC 9112 6.3",
    "a length and a coding for HEAD",
    ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    { request: HEAD },
  ),
  invalid("RFC 9112 6.3", "two lengths", ok("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
  invalid("RFC 9112 6.3", "two equal lengths", ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
  invalid("RFC 9110 8.6", "a list of lengths", ok("Content-Length: 5, 6\r\n", "hello")),
  invalid("RFC 9110 8.6", "a signed length", ok("Content-Length: +5\r\n", "hello")),
  invalid("RFC 9110 8.6", "an empty length", ok("Content-Length:\r\n", "hello")),
  invalid("RFC 9110 8.6", "a length that overflows", ok("Content-Length: 18446744073709551621\r\n", "hello")),
  invalid("RFC 9112 6.1", "a coding that is not chunked", ok("Transfer-Encoding: gzip\r\n", HELLO)),
  invalid("RFC 9112 6.1", "chunked first", ok("Transfer-Encoding: chunked, gzip\r\n", HELLO)),
  invalid(
    "RFC 9112 6.1",
    "chunked twice",
    ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HELLO),
  ),
  invalid("RFC 9112 6.1", "a coding on top of chunked", ok("Transfer-Encoding: gzip, chunked\r\n", HELLO)),
  invalid("RFC 9112 6.1", "a coding in HTTP/1.0", `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n${HELLO}`),
  invalid("RFC 9112 2.2", "a bare LF in the status line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
  invalid(
    "RFC 9112 2.2",
    "bare LFs all through, and the connection open",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  ),
  invalid(
    "RFC 9112 2.2",
    "a bare LF in a value (response splitting)",
    ok("X: y\nSet-Cookie: z\r\nContent-Length: 0\r\n"),
  ),
  invalid(
    "RFC 9110 5.5",
    "a bare CR in a value (response splitting)",
    ok("X: y\rSet-Cookie: z\r\nContent-Length: 0\r\n"),
  ),
  invalid("RFC 9110 5.5", "a NUL in a value", ok("X: y\0\r\nContent-Length: 0\r\n")),
  invalid("RFC 9112 4", "a CR in the reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 5.1", "a space before the colon", ok("Content-Length : 0\r\n")),
  invalid("RFC 9112 5.2", "obs-fold", ok("X: y\r\n z\r\nContent-Length: 0\r\n")),
  invalid("RFC 9110 5.1", "an empty name", ok(": y\r\nContent-Length: 0\r\n")),
  invalid("RFC 9112 5", "a line without a colon", ok("X\r\nContent-Length: 0\r\n")),
  invalid("RFC 9112 2.3", "another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 2.3", "a version past 1.1", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 2.3", "another protocol", "SSH-2.0-OpenSSH_9.0\r\n\r\n"),
  invalid("RFC 9112 4", "an empty line before the status line", `\r\n${ok("Content-Length: 0\r\n")}`),
  invalid("RFC 9112 4", "a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a status below 100", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "two spaces before the status", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a tab behind the version", "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a status with letters", "HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a body alone", "hello, world\r\n\r\n"),
  invalid(
    "RFC 9110 15.2.2",
    "101 that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  ),
  invalid(
    "RFC 9110 15.2.2",
    "101 to nothing, that nobody asked for",
    "HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n",
  ),
  invalid(
    "RFC 9110 15.2",
    "seventeen 1xx",
    "HTTP/1.1 102 P\r\n\r\n".repeat(17) + ok("Content-Length: 0\r\n"),
  ),
  invalid("RFC 9112 2.3", "a head over the limit", ok(`X: ${"y".repeat(70_000)}\r\n`)),
  invalid("RFC 9112 2.3", "too many fields", ok("X: y\r\n".repeat(257))),
  invalid("RFC 9112 8", "nothing, then the end", "", { after: "end" }),
  invalid("RFC 9112 8", "half a head, then the end", "HTTP/1.1 200 OK\r\nContent-", { after: "end" }),
  invalid("RFC 9112 8", "half a head, then a reset", "HTTP/1.1 200 OK\r\nContent-", { after: "reset" }),
  invalid("RFC 9112 8", "a 1xx, then the end", "HTTP/1.1 103 Early Hints\r\n\r\n", { after: "end" }),
];
