import { expect, it } from "vitest";
import { AgentWatches } from "../../../src/control/agent-watch.js";
import { CheckStarts } from "../../../src/control/check-starts.js";
import { ProbeSlots } from "../../../src/control/probe-slots.js";
import { HeldProbe, INTERVAL_MS, setUp, TARGET, TERMS } from "./check-scene.js";

function agentWorld() {
  const agent = new HeldProbe();
  const world = setUp({}, 0, new ProbeSlots(10), (pool, clock) => {
    const parts = { clock, random: () => 0, slots: new ProbeSlots(10), starts: new CheckStarts(clock) };
    return [new AgentWatches(pool, agent, { intervalMs: INTERVAL_MS, target: TARGET, send: "" }, parts)];
  });
  const say = async (line: string | undefined) => {
    await world.clock.advance(INTERVAL_MS);
    agent.answer(line !== undefined, line === undefined ? {} : { text: line });
  };
  return { ...world, agent, say };
}

it("does what the agent says, and leaves alone what it does not mention", async () => {
  const { say, backend, pool } = agentWorld();
  pool.setWeight(backend, { kind: "weight", weight: 100 }, { ...TERMS, origin: "config" }, 0);
  await say("weight:40 maxconn:7 drain");
  expect([backend.weight, backend.row.limit, backend.facts.admin.state]).toEqual([40, 7, "drain"]);
  await say("ready");
  expect([backend.weight, backend.row.limit, backend.facts.admin.state]).toEqual([40, 7, "ready"]);
  await say("down#disk full");
  expect(backend.facts.check).toMatchObject({ state: "down", why: "agent says down: disk full" });
  await say("50%");
  expect([backend.facts.check.state, backend.weight]).toEqual(["down", 0.5]);
  await say("up");
  expect(backend.isEligible).toBe(true);
});

it("changes nothing when the agent cannot be reached", async () => {
  const { say, backend } = agentWorld();
  await say("weight:40 down#broken");
  await say(undefined);
  expect([backend.weight, backend.facts.check.state]).toEqual([40, "down"]);
  expect(backend.reports.agent).toMatchObject({ code: "L4CON", text: "weight:40 down#broken" });
});

it("yields to an operator, who does not undo what the agent did", async () => {
  const { say, backend, pool } = agentWorld();
  await say("drain weight:40");
  pool.setWeight(backend, { kind: "weight", weight: 9 }, TERMS, 0);
  pool.setAdmin(backend, "ready", TERMS, 0);
  expect([backend.weight, backend.facts.admin.state]).toEqual([9, "drain"]);
  await say("weight:50");
  expect(backend.weight).toBe(9);
  pool.setWeight(backend, undefined, TERMS, 0);
  expect(backend.weight).toBe(50);
});

it("keeps the time since it holds when the agent says it again", async () => {
  const { say, backend, pool } = agentWorld();
  await say("drain 50%");
  const first = pool.overrides.of(backend.endpoint.key);
  await say("drain 50%");
  expect(pool.overrides.of(backend.endpoint.key)).toBe(first);
});

it("goes on asking in its own maint, and stops in the operator's", async () => {
  const { say, backend, pool, agent, clock } = agentWorld();
  await say("maint");
  await say("ready");
  expect(backend.facts.admin.state).toBe("ready");
  pool.setAdmin(backend, "maint", TERMS, clock.nowMs());
  const { started } = agent;
  await clock.advance(10 * INTERVAL_MS);
  expect(agent.started).toBe(started);
  pool.setAdmin(backend, "ready", TERMS, clock.nowMs());
  await clock.advance(0);
  expect(agent.started).toBe(started + 1);
});

it("takes back all that the agent said when agent checks are given up", async () => {
  const { say, backend, pool, prober } = agentWorld();
  await say("weight:40 maxconn:7 drain down");
  prober.yieldTo(undefined);
  expect(pool.overrides.list()).toEqual([]);
  expect([backend.facts.check.state, backend.row.limit, backend.isEligible]).toEqual(["unchecked", 0, true]);
});
