import { describe, expect, it } from "vitest";
import { grpcJudgement } from "../../../src/proxy/grpc-status.js";
import { responseHead } from "../../support/heads.js";

function judged(line: string): number {
  return grpcJudgement(responseHead(`HTTP/1.1 200 OK\r\n${line}\r\n`).fields);
}

describe("a gRPC status", () => {
  it.each([
    [0, 200],
    [1, 499],
    [2, 500],
    [3, 400],
    [4, 504],
    [5, 404],
    [6, 409],
    [7, 403],
    [8, 429],
    [9, 400],
    [10, 409],
    [11, 400],
    [12, 501],
    [13, 500],
    [14, 503],
    [15, 500],
    [16, 401],
    [17, 500],
  ])("of %i counts as HTTP %i", (code, status) => {
    expect(judged(`Grpc-Status: ${code}\r\n`)).toBe(status);
  });

  it.each(["", "x", "-1", "1.5", "140"])("of %j counts as a failure", (code) => {
    expect(judged(`grpc-status: ${code}\r\n`)).toBe(500);
  });

  it("is not there in other answers", () => {
    expect(judged("content-type: text/plain\r\n")).toBe(0);
    expect(grpcJudgement(undefined)).toBe(0);
  });
});
