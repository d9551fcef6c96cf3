import { describe, expect, it } from "vitest";
import { createLog, type LogThreshold } from "../../../src/platform/log.js";

function setUp(level: LogThreshold = "info") {
  const lines: Record<string, unknown>[] = [];
  const log = createLog(level, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

it("writes one JSON line with the message, its level as a word and the fields", () => {
  const { log, lines } = setUp();
  log.warn({ pool: "web", durationMs: 3 }, "backend left");
  expect(lines).toEqual([
    {
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      pid: process.pid,
      pool: "web",
      durationMs: 3,
      msg: "backend left",
    },
  ]);
});

it("names the component in each line of a child", () => {
  const { log, lines } = setUp();
  log.child("source", { pool: "web" }).error({ code: "x" }, "failed");
  expect(lines[0]).toMatchObject({ component: "source", pool: "web", code: "x", level: "error" });
});

it("steers the children made before and after a change of level", () => {
  const { log, lines } = setUp("info");
  const before = log.child("before");
  before.debug({}, "unheard");
  log.setLevel("debug");
  expect(log.level()).toBe("debug");
  before.debug({}, "heard");
  log.child("after").debug({}, "heard");
  log.setLevel("silent");
  before.error({}, "unheard");
  log.error({}, "unheard");
  expect(lines.map((line) => line.msg)).toEqual(["heard", "heard"]);
});

describe("secrets", () => {
  it.each([
    { token: "s3cret" },
    { consul: { token: "s3cret" } },
    { headers: { "x-consul-token": "s3cret", authorization: "s3cret" } },
    { request: { headers: { authorization: "s3cret", cookie: "s3cret" } } },
    { config: { auth: "s3cret", password: "s3cret" } },
  ])("are replaced in %j", (fields) => {
    const { log, lines } = setUp();
    log.info(fields, "said");
    log.child("x").info(fields, "said");
    expect(JSON.stringify(lines)).not.toContain("s3cret");
    expect(JSON.stringify(lines)).toContain("[redacted]");
  });
});

it("writes an error's message and stack", () => {
  const { log, lines } = setUp();
  log.error({ err: new Error("boom") }, "failed");
  expect(lines[0]?.err).toMatchObject({ message: "boom", stack: expect.stringContaining("boom") });
});
