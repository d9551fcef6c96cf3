import {
  CHUNKED,
  HEAD,
  invalid,
  ok,
  passed,
  type ResponseCase,
  request,
  TAKES_TRAILERS,
} from "./response-case.js";

const CHUNK = "RFC 9112 7.1";
const EXTENSION = "RFC 9112 7.1.1";
const TRAILERS = "RFC 9112 7.1.2";
const LAST = "0\r\n\r\n";
const BOTH_CLOSE = { client: "cut", backend: "closed" } as const;

/** Chunks of a backend that are at fault: what was good arrives, and the client can tell that there was more. */
function cutChunks(rule: string, name: string, chunks: string): ResponseCase {
  return passed(
    rule,
    name,
    ok("Transfer-Encoding: chunked\r\n", `2\r\nok\r\n${chunks}`),
    ok(CHUNKED, "2\r\nok\r\n"),
    BOTH_CLOSE,
  );
}

/** Framing of a backend that nobody may guess at, in the middle of a body. */
export const CUT_RESPONSES: readonly ResponseCase[] = [
  cutChunks(CHUNK, "no chunk size", "\r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size with a sign", "+2\r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size with 0x", "0x2\r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size with a space behind it", "2 \r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size with a space before it", " 2\r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size that overflows", "10000000000000002\r\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size line ended by LF", "2\nxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "a chunk size line ended by CR", "2\rxx\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "an empty line between chunks", "\r\n0\r\n\r\n"),
  cutChunks(CHUNK, "an LF for the last chunk's end", "0\n\n"),
  cutChunks(CHUNK, "a second answer where a chunk belongs", ok("Content-Length: 0\r\n")),
  passed(
    CHUNK,
    "chunk data ended by LF",
    ok(CHUNKED, "2\r\nok\n0\r\n\r\n"),
    ok(CHUNKED, "2\r\nok\r\n"),
    BOTH_CLOSE,
  ),
  passed(
    CHUNK,
    "chunk data ended by two bytes",
    ok(CHUNKED, "2\r\nokXX0\r\n\r\n"),
    ok(CHUNKED, "2\r\nok\r\n"),
    BOTH_CLOSE,
  ),
  passed(
    CHUNK,
    "chunk data ended by nothing",
    ok(CHUNKED, "2\r\nok0\r\n\r\n"),
    ok(CHUNKED, "2\r\nok\r\n"),
    BOTH_CLOSE,
  ),
  cutChunks(EXTENSION, "an LF in an extension", "2;a\nxx\r\n0\r\n\r\n"),
  cutChunks(EXTENSION, "a CR in an extension", "2;a\r;b\r\nxx\r\n0\r\n\r\n"),
  cutChunks(EXTENSION, "an extension over its limit", `2;${"a".repeat(300)}\r\nxx\r\n0\r\n\r\n`),
  passed(
    EXTENSION,
    "extensions over their limit together",
    ok(CHUNKED, `1;${"a".repeat(200)}\r\nx\r\n`.repeat(100)),
    ok(CHUNKED, `51\r\n${"x".repeat(81)}\r\n`),
    BOTH_CLOSE,
  ),
  cutChunks(TRAILERS, "a folded trailer", "0\r\nA: 1\r\n 2\r\n\r\n"),
  cutChunks(TRAILERS, "a trailer with a space before the colon", "0\r\nA : 1\r\n\r\n"),
  cutChunks(TRAILERS, "a bare LF in the trailers", "0\r\nA: 1\nB: 2\r\n\r\n"),
  cutChunks(TRAILERS, "a bare CR in the trailers", "0\r\nA: 1\rB: 2\r\n\r\n"),
  cutChunks(TRAILERS, "a second answer for the trailers", `0\r\n${ok("Content-Length: 0\r\n")}`),
  cutChunks(TRAILERS, "trailers over their limit", `0\r\nA: ${"y".repeat(17_000)}\r\n\r\n`),
  cutChunks(TRAILERS, "too many trailers", `0\r\n${"A: y\r\n".repeat(65)}\r\n`),
  cutChunks("RFC 9110 6.5.1", "a length in the trailers", "0\r\nContent-Length: 5\r\n\r\n"),
  cutChunks("RFC 9110 6.5.1", "a coding in the trailers", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
];

/** More of what backends say and clients must not see, or must see unchanged. */
export const FRAMED_RESPONSES: readonly ResponseCase[] = [
  passed(
    "RFC 9110 7.6.1",
    "trailers that Connection names go",
    ok("Connection: X-A\r\nTransfer-Encoding: chunked\r\n", "0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"),
    ok(CHUNKED, "0\r\nX-B: 2\r\n\r\n"),
    { request: TAKES_TRAILERS },
  ),
  passed(
    "RFC 9110 6.5.1",
    "trailers about framing, routing and caching go",
    ok(
      CHUNKED,
      "0\r\nHost: b\r\nConnection: x\r\nTE: x\r\nUpgrade: x\r\nKeep-Alive: x\r\nTrailer: x\r\nDate: x\r\n" +
        "Proxy-Authenticate: x\r\nRetry-After: 1\r\nAge: 1\r\nCache-Control: x\r\nContent-Encoding: x\r\n" +
        "Content-Range: x\r\nContent-Type: x\r\nExpires: x\r\nLocation: x\r\nVary: x\r\nWWW-Authenticate: x\r\n" +
        "Set-Cookie: x\r\nPragma: x\r\nContent-Language: x\r\nContent-Location: x\r\nVia: x\r\nA: 1\r\n\r\n",
    ),
    ok(CHUNKED, "0\r\nA: 1\r\n\r\n"),
    { request: TAKES_TRAILERS },
  ),
  passed(
    "RFC 9110 7.6.1",
    "what a backend says of its connection and of proxies goes",
    ok("Proxy-Authenticate: Basic\r\nTE: trailers\r\nTrailer: A\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"),
    ok("content-length: 0\r\n"),
  ),
  passed(
    "RFC 9110 7.6.1",
    "the length of an answer to HEAD stays though Connection names it",
    ok("Content-Length: 5\r\nConnection: content-length\r\n"),
    ok("Content-Length: 5\r\n"),
    { request: HEAD },
  ),
  passed(
    "RFC 9110 9.3.2",
    "HEAD with chunks all the same",
    ok("Transfer-Encoding: chunked\r\n", LAST),
    ok(""),
    { request: HEAD, backend: "closed" },
  ),
  passed(
    "RFC 9110 9.3.2",
    "HEAD with a second answer for a body",
    ok("Content-Length: 38\r\n", ok("Content-Length: 0\r\n")),
    ok("Content-Length: 38\r\n"),
    { request: HEAD, backend: "closed" },
  ),
  passed(
    "RFC 9110 9.3.2",
    "an interim answer before that to HEAD",
    `HTTP/1.1 100 Continue\r\n\r\n${ok("Content-Length: 5\r\n")}`,
    `HTTP/1.1 100 Continue\r\n\r\n${ok("Content-Length: 5\r\n")}`,
    { request: HEAD },
  ),
  passed(
    "RFC 9110 15.4.5",
    "304 with chunks all the same",
    `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n${LAST}`,
    "HTTP/1.1 304 Not Modified\r\n\r\n",
    { backend: "closed" },
  ),
  passed(
    "RFC 9110 15.3.6",
    "205 with a body keeps its framing",
    "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 205 Reset Content\r\ncontent-length: 2\r\n\r\nok",
  ),
  passed(
    "RFC 9112 9.3",
    "an interim answer behind the body",
    ok("Content-Length: 2\r\n", "okHTTP/1.1 100 Continue\r\n\r\n"),
    ok("content-length: 2\r\n", "ok"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.6",
    "a backend that asks to close and to be kept",
    ok("Content-Length: 1\r\nConnection: keep-alive, Close\r\n", "x"),
    ok("content-length: 1\r\n", "x"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.6",
    "a close in a second Connection field",
    ok("Content-Length: 1\r\nConnection: keep-alive\r\nConnection: close\r\n", "x"),
    ok("content-length: 1\r\n", "x"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9112 9.3",
    "a backend of HTTP/1.0 with keep-alive and close",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive, close\r\n\r\nx",
    ok("content-length: 1\r\n", "x"),
    { backend: "closed" },
  ),
  passed(
    "RFC 9110 15.2",
    "an interim answer of HTTP/1.0",
    `HTTP/1.0 103 Early Hints\r\nA: 1\r\n\r\n${ok("Content-Length: 0\r\n")}`,
    `HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n${ok("content-length: 0\r\n")}`,
  ),
  invalid(
    "RFC 9110 15.2",
    "an interim answer with a body",
    `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello${ok("Content-Length: 0\r\n")}`,
  ),
  invalid(
    "RFC 9112 6.3",
    "a length and a coding in an interim answer",
    `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n${CHUNKED}\r\n${ok("Content-Length: 0\r\n")}`,
  ),
  invalid(
    "RFC 9110 7.8",
    "101 to a request whose body made its offer void",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    {
      request: `${request("POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n")}x`,
    },
  ),
  invalid("RFC 9112 6.1", "identity", ok("Transfer-Encoding: identity\r\n", "hello")),
  invalid("RFC 9112 6.1", "identity and chunked", ok("Transfer-Encoding: identity, chunked\r\n", LAST)),
  invalid("RFC 9112 6.1", "chunked in quotes", ok('Transfer-Encoding: "chunked"\r\n', LAST)),
  invalid("RFC 9112 6.1", "chunked with a comma behind it", ok("Transfer-Encoding: chunked,\r\n", LAST)),
  invalid("RFC 9112 6.1", "a tab before chunked", ok("Transfer-Encoding:\tchunked\r\n", LAST)),
  invalid("RFC 9112 6.3", "two lengths for HEAD", ok("Content-Length: 5\r\nContent-Length: 6\r\n"), {
    request: HEAD,
  }),
  invalid(
    "RFC 9112 6.3",
    "a length and a coding in a 304",
    `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n${CHUNKED}\r\n`,
  ),
  invalid(
    "RFC 9110 8.6",
    "a length of a sign in a 204",
    "HTTP/1.1 204 No Content\r\nContent-Length: -1\r\n\r\n",
  ),
  invalid("RFC 9112 5.2", "a folded length", ok("Content-Length:\r\n 5\r\n", "hello")),
  invalid("RFC 9110 5.1", "a name with a byte above 127", ok("X\xe9: y\r\nContent-Length: 0\r\n")),
  invalid("RFC 9112 2.2", "CR CR LF at the end of a line", ok("X: y\r\r\nContent-Length: 0\r\n")),
  invalid(
    "RFC 9112 2.2",
    "a bare CR for the empty line",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\rX\r\n\r\n",
  ),
  invalid(
    "RFC 9112 4",
    "a NUL for the CR of the status line",
    "HTTP/1.1 200 OK\0\nContent-Length: 0\r\n\r\n",
  ),
  invalid("RFC 9112 4", "a DEL in the reason", "HTTP/1.1 200 O\x7fK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "no space behind the version", "HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a letter behind the status", "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a lower-case version", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  invalid("RFC 9112 4", "a request for an answer", request("GET / HTTP/1.1")),
  invalid("RFC 9110 15.2.2", "101 without fields, that nobody asked for", "HTTP/1.1 101 S\r\n\r\n"),
];
