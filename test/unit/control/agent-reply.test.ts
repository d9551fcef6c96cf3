import { expect, it } from "vitest";
import { parseAgentReply } from "../../../src/control/agent-reply.js";

const NOTHING = {
  weight: undefined,
  limit: undefined,
  admin: undefined,
  verdict: undefined,
  reason: "",
  unknown: [],
};

it.each([
  ["75%", { weight: { kind: "percent", percent: 75 } }],
  ["weight:75%", { weight: { kind: "percent", percent: 75 } }],
  ["weight:0", { weight: { kind: "weight", weight: 0 } }],
  ["weight:256", { weight: { kind: "weight", weight: 256 } }],
  ["weight:257", { unknown: ["weight:257"] }],
  ["maxconn:30", { limit: 30 }],
  ["maxconn:x", { unknown: ["maxconn:x"] }],
  ["READY", { admin: "ready" }],
  ["drain", { admin: "drain" }],
  ["maint", { admin: "maint" }],
  ["up", { verdict: "up" }],
  ["down", { verdict: "down" }],
  ["fail", { verdict: "down" }],
  ["failed#disk 100% full, up", { verdict: "down", reason: "disk 100% full, up" }],
  ["stopped#", { verdict: "down" }],
  [
    "up, ready\t50% maxconn:5",
    { verdict: "up", admin: "ready", limit: 5, weight: { kind: "percent", percent: 50 } },
  ],
  ["10% 20%", { weight: { kind: "percent", percent: 20 } }],
  ["hello drain", { admin: "drain", unknown: ["hello"] }],
  ["", {}],
])("an agent's %j is read as %j", (line, expected) => {
  expect(parseAgentReply(line)).toEqual({ ...NOTHING, ...expected });
});
