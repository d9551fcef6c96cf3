import type { HealthCheckRhythm } from "../../../src/config/health-model.js";
import { CheckStarts } from "../../../src/control/check-starts.js";
import { HealthWatches } from "../../../src/control/health-watch.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../../../src/control/probe.js";
import { ProbeSlots } from "../../../src/control/probe-slots.js";
import { Prober, type WatchKind } from "../../../src/control/prober.js";
import type { Backend } from "../../../src/core/backend.js";
import type { Pool } from "../../../src/core/pool.js";
import { ManualClock } from "../../support/manual-clock.js";
import { endpoint, newPool } from "../../support/pool-fixture.js";

/** Of a check, unless a test says otherwise. */
export const INTERVAL_MS = 1_000;
/** An operator's. */
export const TERMS = { origin: "operator", owner: "test", reason: "test", ttlMs: undefined } as const;

/** Connects where the backend is. */
export const TARGET = { address: undefined, port: undefined, timeoutMs: 500, jitterPercent: 0 };

/** A plain health check. */
export const RHYTHM: HealthCheckRhythm = {
  intervalMs: INTERVAL_MS,
  fastIntervalMs: INTERVAL_MS,
  downIntervalMs: INTERVAL_MS,
  provenIntervalMs: INTERVAL_MS,
  demandPercent: 0,
  timeoutMs: 500,
  fall: 3,
  rise: 2,
  initialState: "up",
  target: TARGET,
  disableOn404: false,
  observe: undefined,
  isCutWhenDown: false,
  areBackupsCutWhenUp: false,
  verdict: "both",
};

/** A probe whose checks end when the test says so. */
export class HeldProbe implements Probe {
  readonly kind = "held";
  readonly open: { target: ProbeTarget; done: (result: ProbeResult) => void }[] = [];
  started = 0;
  cancelled = 0;

  run(target: ProbeTarget, _timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const check = { target, done };
    this.started++;
    this.open.push(check);
    return {
      cancel: () => {
        this.cancelled++;
        this.open.splice(this.open.indexOf(check), 1);
      },
    };
  }

  answer(passed: boolean, answer: Pick<ProbeResult, "status" | "text"> = {}): void {
    const code = passed ? "L4OK" : "L4CON";
    this.open.shift()?.done({ passed, code, detail: "said so", durationMs: 0, ...answer });
  }
}

/** A pool with one backend that is checked in simulated time. */
export function setUp(
  options: Partial<HealthCheckRhythm> = {},
  random = 0,
  slots = new ProbeSlots(100),
  more: (pool: Pool, clock: ManualClock) => readonly WatchKind[] = () => [],
  changes: Parameters<typeof newPool>[0] = {},
) {
  const clock = new ManualClock();
  const pool = newPool(changes);
  const probe = new HeldProbe();
  const parts = { clock, random: () => random, slots, starts: new CheckStarts(clock) };
  const kinds = [new HealthWatches(pool, probe, { ...RHYTHM, ...options }, parts), ...more(pool, clock)];
  const prober = new Prober(pool, kinds);
  pool.apply({ endpoints: [endpoint("a")] }, clock.nowMs());
  prober.start();
  return { clock, pool, probe, prober, slots, parts, backend: only(pool) };
}

/** The backend of a pool that has one. */
export function only(pool: Pool): Backend {
  const [backend] = pool.backends();
  if (backend === undefined) throw new Error("the pool is empty");
  return backend;
}

/** An interval passes and the probe ends. */
export async function check(
  { clock, probe }: { readonly clock: ManualClock; readonly probe: HeldProbe },
  passed: boolean,
  status?: number,
): Promise<void> {
  await clock.advance(INTERVAL_MS);
  probe.answer(passed, status === undefined ? {} : { status });
}
