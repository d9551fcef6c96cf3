import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { AgentWatches } from "../../src/control/agent-watch.js";
import { CheckStarts } from "../../src/control/check-starts.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import { Prober } from "../../src/control/prober.js";
import { AgentProbe } from "../../src/control/probes/agent.js";
import { systemClock } from "../../src/platform/clock.js";
import { HaproxyChild, hasHaproxy } from "../support/haproxy-child.js";
import { endpoint, newPool } from "../support/pool-fixture.js";
import { promised } from "../support/promised.js";
import { only } from "../unit/control/check-scene.js";

/**
 * What the agent says, check by check; one without a line ending closes after it. A reason stands apart here: HAProxy
 * 2.6 does not know `down#why` in one word, against its documentation.
 */
const SCRIPT = [
  "75%\n",
  "drain\r\n",
  "40%, nonsense",
  "ready\n",
  "down #disk full\n",
  "50% ready\n",
  "up\n",
  "maxconn:30\n",
  "\n",
  "stopped maxconn:7\n",
  "up 100%\n",
  "maint\n",
  "60%\n",
  "ready\n",
  "fail #why\n",
  "drain\n",
  "ready up 150%\n",
  "0%\n",
  "10% up ready\n",
] as const;
const INTER_MS = 50;
/** Longer than any reading of a state takes, so that no line is lost. */
const TIMEOUT_MS = 10_000;
const WEIGHT = 100;

/** What an agent can change; whether it is up is not to be seen in maint. */
interface Standing {
  readonly admin: string;
  readonly isUp: boolean | undefined;
  readonly weight: number;
  /** Most connections; 0 for no limit. */
  readonly limit: number;
}

/** Plays the script: what followed a line is read while the next check waits for its answer. */
async function play(
  begin: (port: number) => Promise<{ read(): Promise<Standing>; end(): unknown }>,
): Promise<readonly Standing[]> {
  const seen: Standing[] = [];
  let checks = 0;
  let finish: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const server = createServer(async (socket) => {
    socket.on("error", () => {});
    const number = checks++;
    if (number > 0 && number <= SCRIPT.length) seen.push(await (await side).read());
    if (number === SCRIPT.length) finish();
    socket.end(SCRIPT[number] ?? "up\n");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const side = begin((server.address() as AddressInfo).port);
  try {
    await promised(done, 60_000, "the end of the script");
    return seen;
  } finally {
    await (await side).end();
    server.close();
  }
}

function playHaproxy(): Promise<readonly Standing[]> {
  return play(async (port) => {
    const haproxy = await HaproxyChild.start([
      // Without it a check has no longer than its interval, which a busy machine may take to answer.
      `timeout check ${TIMEOUT_MS}`,
      `server a 127.0.0.1:${port} weight ${WEIGHT} agent-check agent-port ${port} agent-inter ${INTER_MS}`,
    ]);
    const read = async (): Promise<Standing> => {
      const state = (await haproxy.ask("show servers state web")).split("\n")[2]?.split(" ") ?? [];
      const stat = /^web,a,.*$/m.exec(await haproxy.ask("show stat web 4 -1"))?.[0].split(",") ?? [];
      const [operational, flags, weight] = state.slice(5, 8).map(Number);
      const admin = admins((flags ?? 0) & 0x01, (flags ?? 0) & 0x08);
      return standing(admin, operational !== 0, weight ?? -1, Number(stat[6]));
    };
    return { read, end: () => haproxy.stop() };
  });
}

function playPilotfish(): Promise<readonly Standing[]> {
  return play(async (port) => {
    const pool = newPool();
    const parts = {
      clock: systemClock,
      random: () => 0,
      slots: new ProbeSlots(1),
      starts: new CheckStarts(systemClock),
    };
    const target = { address: undefined, port, timeoutMs: TIMEOUT_MS, jitterPercent: 0 };
    const probe = new AgentProbe({ send: "" }, systemClock);
    const options = { intervalMs: INTER_MS, target, send: "" };
    const prober = new Prober(pool, [new AgentWatches(pool, probe, options, parts)]);
    const endpoints = [endpoint("a", { host: "127.0.0.1", port, weight: WEIGHT })];
    pool.apply({ endpoints }, systemClock.nowMs());
    prober.start();
    const read = async (): Promise<Standing> => {
      const { facts, weight, row } = only(pool);
      return standing(facts.admin.state, facts.check.state !== "down", weight, row.limit);
    };
    return { read, end: () => prober.stop() };
  });
}

function admins(maint: number, drain: number): string {
  if (maint !== 0) return "maint";
  return drain !== 0 ? "drain" : "ready";
}

function standing(admin: string, isUp: boolean, weight: number, limit: number): Standing {
  return { admin, isUp: admin === "maint" ? undefined : isUp, weight, limit };
}

it.skipIf(!hasHaproxy)(
  "an agent that says the same to both has the same effect in HAProxy and here",
  async () => {
    const [here, there] = await Promise.all([playPilotfish(), playHaproxy()]);
    expect(here).toEqual(there);
    expect(new Set(here.map(({ admin }) => admin))).toEqual(new Set(["ready", "drain", "maint"]));
    expect(here.at(-1)).toEqual({ admin: "ready", isUp: true, weight: 10, limit: 7 });
  },
  120_000,
);
