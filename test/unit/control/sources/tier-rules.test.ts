import { describe, expect, it } from "vitest";
import { tiersOf } from "../../../../src/control/sources/tier-rules.js";

describe("the tiers of a list", () => {
  const active = (priority = 0) => ({ priority, backup: false });
  const backup = { priority: 0, backup: true };

  it.each([
    ["nothing", [], []],
    ["actives", [active(), active()], [0, 0]],
    ["priorities, whatever the numbers", [active(30), active(10), active(10), active(500)], [1, 0, 0, 2]],
    ["backups one after the other", [backup, active(), backup], [1, 0, 2]],
    ["backups behind all priorities", [backup, active(7), active(3)], [2, 1, 0]],
    ["backups alone, none of them an active", [backup, backup], [1, 2]],
  ])("has %s", (_what, given, expected) => {
    expect(tiersOf(given)).toEqual(expected);
  });
});
