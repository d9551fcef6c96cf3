import { describe, expect, it } from "vitest";
import { PriorityRule, priorityRuleOf } from "../../../src/proxy/priority.js";

const CONFIG = { class: 4, offsetMs: -300, header: "x-class" };

function classOf(said: string | undefined, isTrusted = true): number {
  const head = { value: (name: string) => (name === "x-class" ? said : undefined) };
  return new PriorityRule(CONFIG).of(head, { isTrusted }).class;
}

describe("the priority of a request", () => {
  it.each<[said: string | undefined, expected: number]>([
    [undefined, 4],
    ["-7", -7],
    ["0", 0],
    ["2047", 2047],
    ["-2047", -2047],
    ["2048", 4],
    ["-2048", 4],
    ["", 4],
    ["1.5", 4],
    ["+1", 4],
    ["1e2", 4],
    ["00001", 4],
    ["7 ", 4],
    ["--1", 4],
  ])("that says %j is of class %i", (said, expected) => {
    expect(classOf(said)).toBe(expected);
  });

  it("is the configured one where the client is not to be trusted", () => {
    expect(classOf("-7", false)).toBe(4);
  });

  it("keeps the configured offset, and is made once where no field decides", () => {
    const rule = new PriorityRule({ ...CONFIG, header: undefined });
    const head = { value: () => "1" };
    expect(rule.of(head, { isTrusted: true })).toBe(rule.fixed);
    expect(new PriorityRule(CONFIG).of(head, { isTrusted: true })).toEqual({ class: 1, offsetMs: -300 });
  });

  it("is none where none is configured", () => {
    expect(priorityRuleOf(undefined)).toBeUndefined();
  });
});
