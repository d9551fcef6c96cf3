import {
  accepted,
  chunked,
  type ForwardedCase,
  forwarded,
  get,
  post,
  type RefusedCase,
  refused,
  refusedBody,
} from "./request-case.js";

const HOST = "Host: a.example\r\n";
const START = "GET / HTTP/1.1\r\n";
const CHUNK = "RFC 9112 7.1";
const EXTENSION = "RFC 9112 7.1.1";
const TRAILERS = "RFC 9112 7.1.2";
const LAST = "0\r\n\r\n";

/** What reads as one request to one parser and as another to the next: known ways to smuggle requests. */
export const REFUSED_SMUGGLING: readonly RefusedCase[] = [
  // Lengths and codings that one hop sees and another does not
  refused("RFC 9112 5.2", "a folded length (0.CL)", 400, post("Content-Length:\r\n 5\r\n", "hello")),
  refused(
    "RFC 9112 5.2",
    "a length folded into the field before",
    400,
    post("X: y\r\n\tContent-Length: 5\r\n", "hello"),
  ),
  refused(
    "RFC 9112 5.1",
    "a tab before the colon of a length",
    400,
    post("Content-Length\t: 5\r\n", "hello"),
  ),
  refused("RFC 9110 8.6", "a length with a semicolon", 400, post("Content-Length: 5;\r\n", "hello")),
  refused("RFC 9110 8.6", "three equal lengths in a list", 400, post("Content-Length: 5,5,5\r\n", "hello")),
  refused("RFC 9110 8.6", "a length in other digits", 400, post("Content-Length: \xd9\xa5\r\n", "hello")),
  refused("RFC 9110 5.5", "a NUL behind a length", 400, post("Content-Length: 5\0\r\n", "hello")),
  refused("RFC 9110 5.5", "a vertical tab before a length", 400, post("Content-Length: \x0b5\r\n", "hello")),
  refused("RFC 9110 5.1", "a NUL in the name of a length", 400, post("Content-Length\0: 5\r\n", "hello")),
  refused(
    "RFC 9110 5.1",
    "a no-break space in front of a length",
    400,
    post("\xa0Content-Length: 5\r\n", "hello"),
  ),
  refused(
    "RFC 9112 2.2",
    "a length behind a bare LF (CL.TE)",
    400,
    post(`Transfer-Encoding: chunked\r\nX: y\nContent-Length: 5\r\n`, LAST),
  ),
  refused(
    "RFC 9112 2.2",
    "a coding behind a bare CR (TE.CL)",
    400,
    post("Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n", "hello"),
  ),
  refused(
    "RFC 9112 5.2",
    "a coding folded behind a length (CL.TE)",
    400,
    post("Content-Length: 5\r\n Transfer-Encoding: chunked\r\n", LAST),
  ),
  refused(
    "RFC 9112 5.1",
    "a coding with a space before its colon beside a length (CL.TE)",
    400,
    post("Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", LAST),
  ),
  refused(
    "RFC 9112 6.3",
    "a coding of rubbish beside a length (TE.CL)",
    400,
    post("Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", "hello"),
  ),
  refused("RFC 9112 6.1", "chunked, folded", 400, post("Transfer-Encoding: chunked\r\n ,\r\n", LAST)),
  refused("RFC 9112 6.1", "chunked behind a NUL", 400, post("Transfer-Encoding: \0chunked\r\n", LAST)),
  refused(
    "RFC 9112 6.1",
    "chunked before a form feed",
    400,
    post("Transfer-Encoding: chunked\x0c\r\n", LAST),
  ),
  refused("RFC 9112 6.1", "chunked before a bare CR", 400, post("Transfer-Encoding: chunked\r\r\n", LAST)),
  refused(
    "RFC 9110 15.6.2",
    "identity and chunked",
    501,
    post("Transfer-Encoding: identity, chunked\r\n", LAST),
  ),
  // Hosts that one hop sees and another does not
  refused("RFC 9112 5.1", "a space before the colon of Host", 400, `${START}Host : a.example\r\n\r\n`),
  refused("RFC 9112 2.2", "a second Host behind a space", 400, `${START} Host: b.example\r\n${HOST}\r\n`),
  refused("RFC 9112 5.2", "a folded Host", 400, `${START}Host: a.example\r\n b.example\r\n\r\n`),
  refused("RFC 9112 5.2", "a second Host behind a fold", 400, `${START}${HOST} Host: b.example\r\n\r\n`),
  refused(
    "RFC 9112 2.2",
    "a second Host behind a bare LF",
    400,
    `${START}X: y\nHost: b.example\r\n${HOST}\r\n`,
  ),
  refused("RFC 9110 7.2", "a bracket behind the first letter of a Host", 400, `${START}Host: a]b\r\n\r\n`),
  refused("RFC 9110 7.2", "an open bracket behind the first letter", 400, `${START}Host: a[b\r\n\r\n`),
  refused("RFC 9110 7.2", "a Host with a backslash", 400, `${START}Host: a.example\\b\r\n\r\n`),
  refused(
    "RFC 9112 3.2.2",
    "a target whose authority ends in a backslash for some",
    400,
    `GET http://a.example\\.b.example/ HTTP/1.1\r\n${HOST}\r\n`,
  ),
  ...["http:///x", "http://:80/", "http://a.example:8x/", "http://[::1/", "http://a]b/"].map((target) =>
    refused(
      "RFC 9112 3.2.2",
      `the target ${target} that no Host speaks against`,
      400,
      `GET ${target} HTTP/1.0\r\n\r\n`,
    ),
  ),
  refused(
    "RFC 9112 2.2",
    "a bare LF behind an unknown version, in one piece or many",
    400,
    `GET / HTTP/1.2\r\n${HOST.trimEnd()}\nX: y\r\n\r\n`,
  ),
  // Expectations that one hop sees and another does not
  refused(
    "RFC 9110 10.1.1",
    "an expectation behind a word",
    417,
    post("Expect: y 100-continue\r\nContent-Length: 5\r\n", "hello"),
  ),
  refused(
    "RFC 9110 10.1.1",
    "an expectation with a parameter",
    417,
    post("Expect: 100-continue;x\r\nContent-Length: 5\r\n", "hello"),
  ),
  refused(
    "RFC 9112 5.1",
    "an expectation with a space before the colon",
    400,
    post("Expect : 100-continue\r\nContent-Length: 5\r\n", "hello"),
  ),
  // Ends of chunk lines (TERM.EXT, EXT.TERM, TERM.SPILL, SPILL.TERM, ONE.TWO, ZERO.TWO)
  refusedBody(EXTENSION, "an LF for an extension (TERM.EXT)", 400, chunked("2;\nxx\r\n10\r\n\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "a CR for an extension", 400, chunked("2;\rxx\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "an LF behind an extension (EXT.TERM)", 400, chunked("2;a\nxx\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "a CR in an extension, and another one", 400, chunked("2;a\r;b\r\nxx\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "CR CR LF behind an extension", 400, chunked("2;a\r\r\nxx\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "a CR in a quoted pair", 400, chunked('2;a="\\\r\n"\r\nxx\r\n0\r\n\r\n')),
  refusedBody(EXTENSION, "an LF in a quoted pair", 400, chunked('2;a="\\\n"\r\nxx\r\n0\r\n\r\n')),
  refusedBody(EXTENSION, "a DEL in an extension", 400, chunked("2;a\x7f\r\nxx\r\n0\r\n\r\n")),
  refusedBody(EXTENSION, "a DEL in a quoted value", 400, chunked('2;a="\x7f"\r\nxx\r\n0\r\n\r\n')),
  refusedBody(
    EXTENSION,
    "a byte above 127 in the name of an extension",
    400,
    chunked("2;\xe9\r\nxx\r\n0\r\n\r\n"),
  ),
  refusedBody(
    EXTENSION,
    "another extension right behind a quote",
    400,
    chunked('2;a="b"cd=e\r\nxx\r\n0\r\n\r\n'),
  ),
  refusedBody(EXTENSION, "a quote inside a value", 400, chunked('2;a=b"c"\r\nxx\r\n0\r\n\r\n')),
  refusedBody(
    EXTENSION,
    "a space before the value of an extension",
    400,
    chunked("2;a= b\r\nxx\r\n0\r\n\r\n"),
  ),
  refusedBody(EXTENSION, "a space behind an extension", 400, chunked("2;a \r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "CR CR LF behind a chunk size", 400, chunked("2\r\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "CR CR LF behind chunk data (TERM.SPILL)", 400, chunked("2\r\nxx\r\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "two LFs behind chunk data", 400, chunked("2\r\nxx\n\n0\r\n\r\n")),
  refusedBody(CHUNK, "any two bytes behind chunk data (SPILL.TERM)", 400, chunked("2\r\nxxYY0\r\n\r\n")),
  refusedBody(CHUNK, "an LF alone behind chunk data (ONE.TWO)", 400, chunked("2\r\nxx\n0\r\n\r\n")),
  refusedBody(CHUNK, "nothing behind chunk data (ZERO.TWO)", 400, chunked("2\r\nxx0\r\n\r\n")),
  refusedBody(CHUNK, "an empty line between chunks", 400, chunked("2\r\nxx\r\n\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a vertical tab behind a chunk size", 400, chunked("2\x0b\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a no-break space behind a chunk size", 400, chunked("2\xa0\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a chunk size with a comma", 400, chunked("2,2\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a chunk size with a fraction", 400, chunked("2.0\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a chunk size with a unit", 400, chunked("2h\r\nxx\r\n0\r\n\r\n")),
  refusedBody(CHUNK, "a chunk size in quotes", 400, chunked('"2"\r\nxx\r\n0\r\n\r\n')),
  refusedBody(
    TRAILERS,
    "a bare CR for the empty line behind the last chunk",
    400,
    chunked("0\r\n\rX: y\r\n\r\n"),
  ),
  refusedBody(TRAILERS, "a bare LF for the empty line behind trailers", 400, chunked("0\r\nX: y\r\n\n")),
  refusedBody(TRAILERS, "a request for the trailers", 400, chunked(`0\r\n${get("", "/smuggled")}`)),
  refusedBody(
    "RFC 9110 6.5.1",
    "a length with a space before the colon in the trailers",
    400,
    chunked("0\r\nContent-Length : 5\r\n\r\n"),
  ),
];

const CHUNKED = "transfer-encoding: chunked\r\n";
const framedAs = (method: string, body: string) => `${method} / HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${body}`;
const asChunks = (method: string, body: string) => forwarded(`${method} / HTTP/1.1`, HOST, CHUNKED, body);
const HELLO = "5\r\nhello\r\n0\r\n\r\n";

/** What others were led astray by, and what is forwarded of it. */
export const FORWARDED_SMUGGLING: readonly ForwardedCase[] = [
  ...["OPTIONS", "GET", "DELETE", "get", "LOCK"].map((method) =>
    accepted(
      "RFC 9112 6.1",
      `chunks of a ${method} stay chunks (TE.0)`,
      framedAs(method, HELLO),
      asChunks(method, HELLO),
    ),
  ),
  accepted(
    "RFC 9110 8.6",
    "a length behind forty zeros is written without them",
    post(`Content-Length: ${"0".repeat(40)}5\r\n`, "hello"),
    forwarded("POST / HTTP/1.1", HOST, "content-length: 5\r\n", "hello"),
  ),
  accepted(
    "RFC 9110 10.1.1",
    "an expectation with a length of zero goes (0.CL)",
    post("Expect: 100-continue\r\nContent-Length: 0\r\n"),
    forwarded("POST / HTTP/1.1", HOST, "content-length: 0\r\n"),
  ),
  accepted(
    "RFC 9110 10.1.1",
    "an expectation of a GET with a body stays with the body",
    `${get("Expect: 100-continue\r\nContent-Length: 2\r\n")}ok`,
    forwarded("GET / HTTP/1.1", `${HOST}Expect: 100-continue\r\n`, "content-length: 2\r\n", "ok"),
  ),
  accepted(
    "RFC 9110 7.8",
    "an upgrade to HTTP/2 with a body goes, and the body stays",
    post(
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\nContent-Length: 2\r\n",
      "ok",
    ),
    forwarded("POST / HTTP/1.1", HOST, "content-length: 2\r\n", "ok"),
  ),
  accepted(
    "RFC 9110 7.8",
    "a choice of upgrades is not offered on",
    get("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"),
    forwarded("GET / HTTP/1.1", HOST),
  ),
  accepted(
    "RFC 9110 7.8",
    "an upgrade to websocket with a length of zero goes",
    get("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"),
    forwarded("GET / HTTP/1.1", HOST, "content-length: 0\r\n"),
  ),
  accepted(
    "RFC 7239 4",
    "whatever else an unknown client says in X-Forwarded fields goes",
    get(
      "X-Forwarded-Prefix: /admin\r\nX-Forwarded-Client-Cert: Hash=1\r\nx_forwarded_user: root\r\nX-Forwarded-: 1\r\nX-Forwarded: 1\r\n",
    ),
    forwarded("GET / HTTP/1.1", `${HOST}X-Forwarded-: 1\r\nX-Forwarded: 1\r\n`),
  ),
  accepted(
    "RFC 9110 6.5.1",
    "and in trailers",
    chunked("0\r\nX-Forwarded-User: root\r\nX_Forwarded_For: 1.2.3.4\r\nContent_Length: 5\r\nA: 1\r\n\r\n"),
    asChunks("POST", "0\r\nA: 1\r\n\r\n"),
  ),
  accepted(
    "RFC 9110 6.5.1",
    "trailers that steer, ask or prove something go",
    chunked(
      "0\r\nMax-Forwards: 1\r\nExpect: x\r\nIf-Match: x\r\nIf-None-Match: x\r\nIf-Range: x\r\nIf-Modified-Since: x\r\n" +
        "If-Unmodified-Since: x\r\nRange: x\r\nPragma: x\r\nContent-Encoding: x\r\nContent-Range: x\r\nA: 1\r\n\r\n",
    ),
    asChunks("POST", "0\r\nA: 1\r\n\r\n"),
  ),
  accepted(
    "RFC 9110 5.1",
    "a name with another character for a hyphen is another name",
    get("X.Forwarded-For: 1\r\nContent.Length: 5\r\nTransfer!Encoding: chunked\r\n"),
    forwarded(
      "GET / HTTP/1.1",
      `${HOST}X.Forwarded-For: 1\r\nContent.Length: 5\r\nTransfer!Encoding: chunked\r\n`,
    ),
  ),
  accepted(
    "RFC 9110 7.6.1",
    "Via stays though Connection names it",
    get("Via: 1.0 other\r\nConnection: via\r\n"),
    forwarded("GET / HTTP/1.1", `${HOST}Via: 1.0 other\r\n`),
  ),
];
