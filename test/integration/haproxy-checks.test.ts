import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { CheckStarts } from "../../src/control/check-starts.js";
import { HealthWatches } from "../../src/control/health-watch.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import { Prober } from "../../src/control/prober.js";
import { HttpProbe } from "../../src/control/probes/http.js";
import { systemClock } from "../../src/platform/clock.js";
import { HaproxyChild, hasHaproxy } from "../support/haproxy-child.js";
import { endpoint, newPool } from "../support/pool-fixture.js";
import { promised } from "../support/promised.js";
import { only, RHYTHM, TARGET } from "../unit/control/check-scene.js";

/** What the backend answers, check by check: passes, fails, asks for bound work alone, or passes late. */
const SCRIPT = "++---+-++s+-++4+44-4--4-+---++";
const STATUS: Readonly<Record<string, number>> = { "+": 200, s: 200, "-": 500, "4": 404 };
const LATE_MS = 150;
const INTER_MS = 300;
const FAST_MS = 100;
const DOWN_MS = 500;
/** Longer than any reading of a state takes, so that no check fails but by the script. */
const TIMEOUT_MS = 10_000;
/** A timer may be so much early by its rounding. */
const EARLY_MS = 3;
/** What a pause may be off: less than half of what tells the three intervals apart. */
const SLACK_MS = 60;
/** A busy machine lengthens pauses, but hardly the same one in each of so many rounds. */
const ROUNDS_MAX = 5;

/** What follows a check: the state that the checker is in, and how long it waits before the next one. */
interface Step {
  readonly state: string;
  readonly pauseMs: number;
}

/**
 * A backend that answers by the script. What followed a check is read while the next one waits for its answer: by then
 * the state is settled, however slow the machine is. A pause counts from the answer on.
 */
class ScriptedBackend {
  readonly steps: Step[] = [];
  readonly done: Promise<void>;
  #finish: () => void = () => {};
  #answeredMs = 0;
  #checks = 0;
  readonly #read: () => Promise<string>;
  readonly #server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", async () => {
      const answer = await this.#take(performance.now());
      this.#answeredMs = performance.now();
      socket.end(answer);
    });
  });

  constructor(read: () => Promise<string>) {
    this.#read = read;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  async start(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
  }

  async #take(nowMs: number): Promise<string> {
    const number = this.#checks++;
    if (number > 0) this.steps.push({ state: await this.#read(), pauseMs: nowMs - this.#answeredMs });
    if (number === SCRIPT.length) this.#finish();
    const letter = SCRIPT[number] ?? "+";
    if (letter === "s") await sleep(LATE_MS);
    return `HTTP/1.1 ${STATUS[letter]} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
  }
}

/** Plays the script to the end. */
async function play(
  read: () => Promise<string>,
  begin: (port: number) => Promise<() => unknown>,
): Promise<readonly Step[]> {
  const backend = new ScriptedBackend(read);
  const end = await begin(await backend.start());
  try {
    await promised(backend.done, 60_000, "the end of the script");
    return backend.steps.slice(0, SCRIPT.length);
  } finally {
    await end();
    backend.stop();
  }
}

async function playHaproxy(): Promise<readonly Step[]> {
  let haproxy: HaproxyChild | undefined;
  const read = async (): Promise<string> => {
    const csv = (await haproxy?.ask("show stat web 4 -1")) ?? "";
    return /^web,a,.*$/m.exec(csv)?.[0].split(",")[17] ?? "";
  };
  return await play(read, async (port) => {
    const child = await HaproxyChild.start([
      `timeout check ${TIMEOUT_MS}`,
      "option httpchk GET /status",
      "http-check disable-on-404",
      `server a 127.0.0.1:${port} check inter ${INTER_MS} fastinter ${FAST_MS} downinter ${DOWN_MS} fall 3 rise 2`,
    ]);
    haproxy = child;
    return () => child.stop();
  });
}

async function playPilotfish(): Promise<readonly Step[]> {
  const pool = newPool();
  const begin = async (port: number) => {
    const probe = new HttpProbe({ method: "GET", path: "/status", host: undefined }, systemClock);
    const options = {
      ...RHYTHM,
      intervalMs: INTER_MS,
      fastIntervalMs: FAST_MS,
      downIntervalMs: DOWN_MS,
      disableOn404: true,
      target: { ...TARGET, timeoutMs: TIMEOUT_MS },
    };
    const parts = {
      clock: systemClock,
      random: () => 0,
      slots: new ProbeSlots(1),
      starts: new CheckStarts(systemClock),
    };
    const prober = new Prober(pool, [new HealthWatches(pool, probe, options, parts)]);
    pool.apply({ endpoints: [endpoint("a", { host: "127.0.0.1", port })] }, systemClock.nowMs());
    prober.start();
    return () => prober.stop();
  };
  return await play(async () => {
    const { facts, reports } = only(pool);
    const text = reports.health?.text ?? "";
    return facts.check.state === "nolb" ? text.replace("UP", "NOLB") : text;
  }, begin);
}

/** The shortest pause of each step so far. */
function shortest(known: readonly number[], steps: readonly Step[]): number[] {
  return steps.map(({ pauseMs }, step) => Math.min(pauseMs, known[step] ?? Number.POSITIVE_INFINITY));
}

/** Steps of which one of the two took too long. */
function unsettled(ours: readonly number[], theirs: readonly number[]): number[] {
  return [...ours.keys()].filter((step) => Math.abs((ours[step] ?? 0) - (theirs[step] ?? 0)) > SLACK_MS);
}

it.skipIf(!hasHaproxy)(
  "a scripted backend goes through the same states at the same pauses in HAProxy and here",
  async () => {
    let ours: number[] = [];
    let theirs: number[] = [];
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const [here, there] = await Promise.all([playPilotfish(), playHaproxy()]);
      expect(here.map(({ state }) => state)).toEqual(there.map(({ state }) => state));
      ours = shortest(ours, here);
      theirs = shortest(theirs, there);
      if (unsettled(ours, theirs).length === 0) break;
    }
    expect(unsettled(ours, theirs), `${ours.map(Math.round)} here, ${theirs.map(Math.round)} there`).toEqual(
      [],
    );
    // All three intervals were in play, and nothing came early.
    for (const intervalMs of [INTER_MS, FAST_MS, DOWN_MS]) {
      const isNear = (ms: number) => ms > intervalMs - EARLY_MS && ms < intervalMs + SLACK_MS;
      expect(ours.some(isNear), `a pause of ${intervalMs} ms in ${ours.map(Math.round)}`).toBe(true);
    }
    expect(Math.min(...ours)).toBeGreaterThan(FAST_MS - EARLY_MS);
  },
  300_000,
);
