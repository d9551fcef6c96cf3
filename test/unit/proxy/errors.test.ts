import { describe, expect, test } from "vitest";
import {
  connectError,
  type ErrorPhase,
  endStateOf,
  isUnsent,
  outcomeOf,
  PROXY_ERROR_CODES,
  ProxyError,
  type ProxyErrorCode,
  replyBody,
  retryKindOf,
} from "../../../src/proxy/errors.js";

describe("what follows from a failure", () => {
  const table: [ProxyErrorCode, ErrorPhase, status: number, endState: string, outcome: string][] = [
    ["connect-refused", "connect", 503, "SC", "connect-failure"],
    ["connect-timeout", "connect", 503, "sC", "connect-failure"],
    ["connect-failed", "connect", 503, "SC", "connect-failure"],
    ["connect-exhausted", "connect", 503, "RC", "ignored"],
    ["no-usable-backend", "connect", 503, "SC", "ignored"],
    ["queue-full", "queue", 503, "PQ", "ignored"],
    ["queue-timeout", "queue", 503, "sQ", "ignored"],
    ["upstream-timeout", "response-head", 504, "sH", "timeout"],
    ["upstream-timeout", "data", 504, "sD", "timeout"],
    ["upstream-reset", "response-head", 502, "SH", "reset"],
    ["upstream-invalid", "response-head", 502, "PH", "reset"],
    ["upstream-invalid", "data", 502, "PD", "reset"],
    ["upstream-truncated", "data", 502, "SD", "reset"],
    ["request-total-timeout", "response-head", 504, "sH", "timeout"],
    ["request-total-timeout", "queue", 504, "sQ", "ignored"],
    ["request-total-timeout", "data", 504, "sD", "ignored"],
    ["tunnel-idle", "data", 0, "cD", "ignored"],
    ["client-left", "request", 0, "CR", "ignored"],
    ["client-left", "queue", 0, "CQ", "ignored"],
    ["client-left", "connect", 0, "CC", "ignored"],
    ["client-left", "response-head", 0, "CH", "ignored"],
    ["client-left", "data", 0, "CD", "ignored"],
    ["client-left", "last-data", 0, "CL", "ignored"],
    ["client-timeout", "request", 408, "cR", "ignored"],
    ["client-timeout", "data", 408, "cD", "ignored"],
    ["bad-request", "request", 400, "PR", "ignored"],
    ["not-found", "request", 404, "LR", "ignored"],
    ["draining", "request", 503, "PR", "ignored"],
    ["overload", "request", 503, "PR", "ignored"],
    ["cut", "data", 503, "KD", "ignored"],
    ["marked-down", "data", 503, "DD", "ignored"],
    ["marked-up", "data", 503, "UD", "ignored"],
    ["internal", "data", 500, "ID", "ignored"],
  ];

  test.each(table)("%s in phase %s is %i %s and counts as %s", (code, phase, status, endState, outcome) => {
    const error = new ProxyError(code, phase);
    expect(error.status).toBe(status);
    expect(endStateOf(error)).toBe(endState);
    expect(outcomeOf(error)).toBe(outcome);
  });

  test("every code is in the table", () => {
    expect(new Set(table.map(([code]) => code))).toEqual(new Set(PROXY_ERROR_CODES));
  });
});

describe("the reply", () => {
  test("says what happened and in which pool", () => {
    expect(replyBody(new ProxyError("no-usable-backend", "connect"), "web")).toBe(
      "503 pilotfish: no usable backend in pool web\n",
    );
  });

  test("gives the status and the reason of a bad request, and no pool", () => {
    const error = new ProxyError("bad-request", "request", { status: 431, detail: "head too large" });
    expect(error.status).toBe(431);
    expect(replyBody(error, "web")).toBe("431 pilotfish: bad request: head too large\n");
  });

  test("never shows the cause, which names the backend", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED 10.0.0.1:80"), { code: "ECONNREFUSED" });
    const error = connectError("connect-failed", cause);
    expect(error.cause).toBe(cause);
    expect(replyBody(error, "web")).not.toContain("10.0.0.1");
  });
});

describe("a failed dial", () => {
  test.each([
    ["ECONNREFUSED", "connect-refused"],
    ["ETIMEDOUT", "connect-timeout"],
    ["EHOSTUNREACH", "connect-failed"],
    ["ECONNRESET", "connect-failed"],
    ["EMFILE", "connect-exhausted"],
    ["EADDRNOTAVAIL", "connect-exhausted"],
  ])("with %s is %s", (errno, code) => {
    expect(connectError("connect-failed", Object.assign(new Error(errno), { code: errno })).code).toBe(code);
  });

  test("without a system error is connect-failed", () => {
    expect(connectError("connect-failed", undefined).code).toBe("connect-failed");
  });
});

describe("sending the same request once more", () => {
  test.each([
    ["a refused connection", new ProxyError("connect-refused", "connect"), true, "conn-failure"],
    ["exhaustion on our side", new ProxyError("connect-exhausted", "connect"), false, undefined],
    [
      "a total timeout while connecting",
      new ProxyError("request-total-timeout", "connect"),
      false,
      undefined,
    ],
    [
      "a reset before a byte was sent",
      new ProxyError("upstream-reset", "response-head"),
      true,
      "empty-response",
    ],
    [
      "a reset after it",
      new ProxyError("upstream-reset", "response-head", { isSent: true }),
      false,
      "empty-response",
    ],
    ["junk", new ProxyError("upstream-invalid", "response-head", { isSent: true }), false, "junk-response"],
    [
      "silence",
      new ProxyError("upstream-timeout", "response-head", { isSent: true }),
      false,
      "response-timeout",
    ],
    ["silence in the body", new ProxyError("upstream-timeout", "data", { isSent: true }), false, undefined],
    ["a cut body", new ProxyError("upstream-truncated", "data", { isSent: true }), false, undefined],
  ] as const)("after %s", (_title, error, isNothingSent, kind) => {
    expect(isUnsent(error)).toBe(isNothingSent);
    expect(retryKindOf(error)).toBe(kind);
  });
});
