import { describe, expect, it } from "vitest";
import {
  LONGEST_TTL_MS,
  operatorTerms,
  optional,
  positiveDuration,
  requester,
  required,
  upTo,
} from "../../../src/admin/fields.js";
import { toDuration } from "../../../src/admin/timestamps.js";

describe("fields", () => {
  it("take durations above 0 up to the limit", () => {
    expect(positiveDuration("ttl", undefined, 1000)).toBeUndefined();
    expect(positiveDuration("ttl", { seconds: 0n, nanos: 1 }, 1000)).toBeCloseTo(1e-6);
    expect(positiveDuration("ttl", toDuration(1000), 1000)).toBe(1000);
    for (const duration of [
      { seconds: 0n, nanos: 0 },
      { seconds: -1n, nanos: 0 },
      { seconds: 1n, nanos: 1 },
    ]) {
      expect(() => positiveDuration("ttl", duration, 1000)).toThrow(
        "ttl: must be greater than 0 and at most 1 seconds",
      );
    }
  });

  it("take numbers up to the limit", () => {
    expect(upTo("weight", 256, 256)).toBe(256);
    expect(() => upTo("weight", 257, 256)).toThrow("weight: must be 0 to 256, found 257");
  });

  it("tell a missing name from one that may be missing", () => {
    expect(required("backend", "web-1")).toBe("web-1");
    expect(() => required("backend", "")).toThrow("backend: must be set");
    expect(optional("pool", "")).toBeUndefined();
    expect(() => optional("pool", "x".repeat(1025))).toThrow(/^pool: must be at most 1024 characters/);
  });

  it("name the operator when nobody is named", () => {
    expect(requester({ owner: "", reason: "" })).toEqual({ owner: "operator", reason: "" });
    expect(requester({ owner: "alice", reason: "deploy" })).toEqual({ owner: "alice", reason: "deploy" });
  });

  it.each([
    [{ owner: "x".repeat(257), reason: "" }, /^owner: must be at most 256/],
    [{ owner: "", reason: "x".repeat(1025) }, /^reason: must be at most 1024/],
    [{ owner: "", reason: "a\u001b[2J" }, /^reason: must not hold control characters/],
    [{ owner: "a\u007f", reason: "" }, /^owner: must not hold control characters/],
  ])("refuse an owner or reason that is too long or not plain", (request, message) => {
    expect(() => requester(request)).toThrow(message);
  });

  it("make an operator's terms", () => {
    expect(operatorTerms({ owner: "alice", reason: "deploy", ttl: toDuration(60_000) })).toEqual({
      origin: "operator",
      owner: "alice",
      reason: "deploy",
      ttlMs: 60_000,
    });
    expect(() => operatorTerms({ owner: "", reason: "", ttl: toDuration(LONGEST_TTL_MS + 1) })).toThrow(
      "ttl: must be greater than 0 and at most 366 days",
    );
  });
});
