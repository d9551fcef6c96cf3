import { describe, expect, it } from "vitest";
import { HttpAnswer } from "../../../src/control/http-answer.js";

/** What is known of an answer that came in these pieces, before its connection ends. */
function read(pieces: Iterable<string>, method = "GET"): HttpAnswer {
  const answer = new HttpAnswer(method);
  for (const piece of pieces) answer.take(piece);
  return answer;
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}transfer-encoding: gzip, Chunked\r\n\r\n`;

describe("the answer to a check", () => {
  it.each([
    ["a length", `${OK}content-length: 4\r\n\r\nwellmore`],
    ["a length in other letters", `${OK}Content-LENGTH:\t 4 \r\n\r\nwell`],
    ["chunks", `${CHUNKED}2\r\nwe\r\n0002;a="b"\r\nll\r\n0\r\nx: y\r\n\r\n`],
    [
      "interim answers before it",
      `HTTP/1.1 103 X\r\na: b\r\n\r\nHTTP/1.1 100 \r\n\r\n${OK}content-length: 4\r\n\r\nwell`,
    ],
    ["a status line without words", "HTTP/1.0 200\r\ncontent-length: 4\r\n\r\nwell"],
  ])("with %s is the same in one piece and byte by byte", (_name, text) => {
    for (const pieces of [[text], [...text]])
      expect(read(pieces)).toMatchObject({ state: "whole", status: 200, body: "well" });
  });

  it.each([
    ["the answer to HEAD", `${OK}content-length: 4\r\n\r\n`, "HEAD", 200],
    ["204", "HTTP/1.1 204 X\r\n\r\n", "GET", 204],
    ["304", "HTTP/1.1 304 X\r\ncontent-length: 4\r\n\r\n", "GET", 304],
    ["101", "HTTP/1.1 101 X\r\nupgrade: x\r\n\r\nbytes", "GET", 101],
    ["a length of none", `${OK}content-length: 0\r\n\r\nmore`, "GET", 200],
  ])("has no body where it is %s", (_name, text, method, status) => {
    expect(read([text], method)).toMatchObject({ state: "whole", status, body: "" });
  });

  it.each([
    ["another protocol", "SSH-2.0-x"],
    ["a few letters", "hel"],
    ["no version we speak", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["two spaces", "HTTP/1.1  200 OK\r\n\r\n"],
    ["a control character in the status line", "HTTP/1.1 200 O\u0000K\r\n\r\n"],
    ["a line without CR", "HTTP/1.1 200 OK\n"],
    ["a field without a colon", `${OK}server\r\n\r\n`],
    ["a space before the colon", `${OK}server : x\r\n\r\n`],
    ["a folded field", `${OK}a: b\r\n c\r\n\r\n`],
    ["a lone CR in a field", `${OK}a: b\rc: d\r\n\r\n`],
    ["a length that is no number", `${OK}content-length: +4\r\n\r\n`],
    ["a length that runs on behind spaces", `${OK}content-length: 4${" ".repeat(16_000)}4\r\n\r\n`],
    ["two lengths", `${OK}content-length: 4\r\ncontent-length: 4\r\n\r\n`],
    ["a length beside chunks", `${OK}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n`],
    ["a head without end", `${OK}a: ${"x".repeat(16_384)}`],
    ["a head that is too long", `${OK}a: ${"x".repeat(16_384)}\r\n\r\n`],
    ["interim answers without end", "HTTP/1.1 100 X\r\n\r\n".repeat(2_000)],
  ])("is none with %s, and has no status", (_name, text) => {
    const answer = read([text]);
    expect(answer).toMatchObject({ state: "broken", status: 0 });
    expect(answer.problem).not.toBe("");
  });

  it.each([
    ["no size", "\r\n"],
    ["a size that is none", "0x2\r\nab"],
    ["a size line without CR", "2\nab\r\n"],
    ["data past the size", "2\r\nabc\r\n"],
    ["a size line without end", "1".repeat(300)],
    ["extensions without end", `1;${"x".repeat(300)}`],
  ])("is broken with chunks of %s", (_name, chunks) => {
    expect(read([CHUNKED, chunks])).toMatchObject({ state: "broken", status: 200 });
  });

  it("ends with the connection where nothing else says its end", () => {
    const open = read([OK, "\r\nwe", "ll"]);
    expect(open).toMatchObject({ state: "body", status: 200 });
    open.end();
    expect(open).toMatchObject({ state: "whole", body: "well" });
  });

  it.each([
    ["nothing", "", 0],
    ["half a status line", "HTTP/1.1 2", 0],
    ["half a head", `${OK}a: b\r\n`, 0],
    ["an interim answer", "HTTP/1.1 100 X\r\n\r\n", 0],
    ["half a body", `${OK}content-length: 4\r\n\r\nwel`, 200],
    ["half the chunks", `${CHUNKED}4\r\nwell\r\n`, 200],
  ])("is broken off after %s", (_name, text, status) => {
    const answer = read([text]);
    answer.end();
    expect(answer).toMatchObject({ state: "broken", status });
  });

  it("is read up to 64 KiB, however its body ends", () => {
    const much = "x".repeat(70_000);
    for (const text of [
      `${OK}\r\n${much}`,
      `${OK}content-length: 70000\r\n\r\n${much}`,
      `${CHUNKED}11170\r\n${much}`,
    ]) {
      const answer = read([text]);
      expect(answer.state).toBe("whole");
      expect(answer.body).toHaveLength(65_536);
    }
  });

  it("has a body in UTF-8, wherever it was cut", () => {
    const text = Buffer.from("grün").toString("latin1");
    expect(read([`${OK}content-length: 5\r\n\r\n`, ...text]).body).toBe("grün");
  });
});
