import { describe, expect, it } from "vitest";
import { chunkedBody } from "../../bench/load/request-text.js";
import { ResponseReader } from "../../bench/load/response-reader.js";

const plain = (body: string, status = "200 OK"): string =>
  `HTTP/1.1 ${status}\r\nA: b\r\nContent-Length: ${body.length}\r\nC: d\r\n\r\n${body}`;
const chunked = (bytes: number): string =>
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunkedBody(bytes, 3).toString("latin1")}`;

/** Feeds a text in pieces; answers the first complaint, or how many responses were complete. */
function feed(reader: ResponseReader, text: string, step: number): string | number {
  let complete = 0;
  for (let at = 0; at < text.length; at += step) {
    const piece = Buffer.from(text.slice(at, at + step), "latin1");
    const wrong = reader.take(piece, piece.length);
    if (wrong !== undefined) return wrong;
    if (reader.complete) complete += 1;
  }
  return complete;
}

describe("response reader of the load generator", () => {
  it.each([1, 2, 7, 1000])("takes both framings in pieces of %i bytes", (step) => {
    const reader = new ResponseReader(8);
    expect(feed(reader, plain("12345678"), step)).toBe(1);
    expect(feed(reader, chunked(8), step)).toBe(1);
    expect(feed(reader, plain("12345678"), step)).toBe(1);
  });

  it.each([
    ["another status", plain("12345678", "503 No"), "answered HTTP/1.1 503 No"],
    ["a short length", plain("1234567"), "body of 7 bytes"],
    ["a long length", plain("123456789"), "body of 9 bytes"],
    ["a short chunked body", chunked(7), "body of 7 bytes"],
    ["bytes behind the body", `${plain("12345678")}x`, "bytes behind the response"],
    ["bytes behind the last chunk", `${chunked(8)}x`, "bytes behind the response"],
    ["no framing", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n12345678", "response without a length"],
  ])("refuses %s, also after right answers made it use the short cut", (_title, text, complaint) => {
    const fresh = new ResponseReader(8);
    expect(feed(fresh, text, text.length)).toBe(complaint);
    const used = new ResponseReader(8);
    expect(feed(used, plain("12345678"), 1000)).toBe(1);
    expect(feed(used, plain("12345678"), 1000)).toBe(1);
    expect(feed(used, text, text.length)).toBe(complaint);
  });

  it("does not take an answer of the same size for a right one", () => {
    const reader = new ResponseReader(8);
    expect(feed(reader, plain("12345678"), 1000)).toBe(1);
    const sameSize = plain("1234567").replace("A: b", "A: bc");
    expect(sameSize).toHaveLength(plain("12345678").length);
    expect(feed(reader, sameSize, 1000)).toBe("body of 7 bytes");
  });

  it("begins anew after reset", () => {
    const reader = new ResponseReader(8);
    expect(feed(reader, plain("12345678").slice(0, -3), 5)).toBe(0);
    reader.reset();
    expect(feed(reader, plain("12345678"), 1000)).toBe(1);
  });
});
