import { describe, expect, it } from "vitest";
import { beginEjection, endEjection, forgive, forgivenAtMs } from "../../../src/core/ejection.js";
import type { Outcome } from "../../../src/core/outcome.js";
import {
  type EjectionCause,
  hasRoom,
  OutlierMonitor,
  type OutlierOptions,
  recordOutcome,
} from "../../../src/core/outlier.js";
import { OUTLIER } from "../../support/pool-fixture.js";

function options(changes: Partial<OutlierOptions> = {}): OutlierOptions {
  return {
    ...OUTLIER,
    consecutive5xx: 0,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionPercent: 50,
    ...changes,
  };
}

const OUTCOME_OF: Readonly<Record<string, readonly [Outcome, number]>> = {
  ok: ["success", 200],
  500: ["server-error", 500],
  503: ["server-error", 503],
  505: ["server-error", 505],
  connect: ["connect-failure", 0],
  timeout: ["timeout", 0],
  reset: ["reset", 0],
  ignored: ["ignored", 0],
};

function record(monitor: OutlierMonitor, changes: Partial<OutlierOptions>, name: string) {
  const [outcome, status] = OUTCOME_OF[name] ?? ["ignored", 0];
  return recordOutcome(options(changes), monitor, outcome, status);
}

/** Which detector fired, by the number of the outcome (from 1) it fired at. */
function play(changes: Partial<OutlierOptions>, outcomes: string): Record<number, EjectionCause> {
  const monitor = new OutlierMonitor();
  const fired: Record<number, EjectionCause> = {};
  outcomes.split(" ").forEach((name, index) => {
    const cause = record(monitor, changes, name);
    if (cause !== undefined) fired[index + 1] = cause;
  });
  return fired;
}

const SPLIT = { splitExternalLocalOriginErrors: true };
const COUNTED = { durationMs: undefined, jitterMs: 0 };

describe("outlier detection", () => {
  it.each([
    { options: { consecutive5xx: 3 }, outcomes: "500 500", fired: {} },
    { options: { consecutive5xx: 3 }, outcomes: "500 500 500", fired: { 3: "consecutive-5xx" } },
    { options: { consecutive5xx: 3 }, outcomes: "500 500 ok 500 500", fired: {} },
    {
      options: { consecutive5xx: 3 },
      outcomes: "500 ignored 500 ignored 500",
      fired: { 5: "consecutive-5xx" },
    },
    { options: { consecutive5xx: 3 }, outcomes: "connect timeout reset", fired: { 3: "consecutive-5xx" } },
    {
      options: { consecutive5xx: 2 },
      outcomes: "500 500 500 500",
      fired: { 2: "consecutive-5xx", 4: "consecutive-5xx" },
    },
    {
      options: { consecutiveGatewayFailure: 3 },
      outcomes: "503 timeout connect",
      fired: { 3: "consecutive-gateway-failure" },
    },
    { options: { consecutiveGatewayFailure: 3 }, outcomes: "503 503 500 503 503", fired: {} },
    { options: { consecutiveGatewayFailure: 3 }, outcomes: "503 503 reset 503 503", fired: {} },
    { options: { consecutiveGatewayFailure: 2 }, outcomes: "505 505 505", fired: {} },
    {
      options: { consecutiveConnectFailure: 2 },
      outcomes: "connect connect",
      fired: { 2: "consecutive-connect-failure" },
    },
    { options: { consecutiveConnectFailure: 2 }, outcomes: "connect timeout connect", fired: {} },
    { options: { consecutiveConnectFailure: 2 }, outcomes: "connect 503 connect reset connect", fired: {} },
    {
      options: { consecutive5xx: 2, consecutiveGatewayFailure: 2, consecutiveConnectFailure: 2 },
      outcomes: "connect connect 500",
      fired: { 2: "consecutive-connect-failure" },
    },
    { options: {}, outcomes: "connect connect 503 503 500 500 timeout reset", fired: {} },
    {
      options: { ...SPLIT, consecutiveLocalOriginFailure: 3 },
      outcomes: "connect timeout reset",
      fired: { 3: "consecutive-local-origin-failure" },
    },
    // Any answer shows that the connection held, a bad one too.
    {
      options: { ...SPLIT, consecutiveLocalOriginFailure: 2 },
      outcomes: "reset 500 reset ok reset",
      fired: {},
    },
    // Failures of the connection neither add to the streak of answers nor end it.
    {
      options: { ...SPLIT, consecutive5xx: 3, consecutiveGatewayFailure: 2 },
      outcomes: "500 connect 503 reset timeout 503",
      fired: { 6: "consecutive-gateway-failure" },
    },
    { options: { ...SPLIT, consecutive5xx: 2 }, outcomes: "connect connect connect", fired: {} },
    {
      options: { ...SPLIT, consecutiveConnectFailure: 2, consecutiveLocalOriginFailure: 2 },
      outcomes: "connect connect",
      fired: { 2: "consecutive-connect-failure" },
    },
    { options: { consecutiveLocalOriginFailure: 1 }, outcomes: "connect timeout reset", fired: {} },
  ])("fires at $fired with $options after $outcomes", ({ options: changes, outcomes, fired }) => {
    expect(play(changes, outcomes)).toEqual(fired);
  });

  it.each([
    { present: 4, ejected: 0, eligible: 4, percent: 0, room: true, why: "one always may" },
    { present: 4, ejected: 1, eligible: 3, percent: 49, room: false, why: "two of four are more than 49%" },
    { present: 4, ejected: 1, eligible: 3, percent: 50, room: true, why: "two of four are 50%" },
    { present: 10, ejected: 1, eligible: 9, percent: 10, room: false, why: "two of ten are more than 10%" },
    { present: 20, ejected: 1, eligible: 19, percent: 10, room: true, why: "two of twenty are 10%" },
    { present: 2, ejected: 1, eligible: 1, percent: 100, room: false, why: "the last usable one stays" },
    { present: 1, ejected: 0, eligible: 1, percent: 100, room: false, why: "the only one stays" },
    { present: 3, ejected: 0, eligible: 1, percent: 100, room: false, why: "the others are down" },
  ])("has room $room: $why", ({ present, ejected, eligible, percent, room }) => {
    const census = { present, ejected, eligible };
    expect(hasRoom(options({ maxEjectionPercent: percent }), census, true)).toBe(room);
  });

  it("may eject one that takes no work anyway, beside the last usable one", () => {
    expect(hasRoom(options(), { present: 2, ejected: 0, eligible: 1 }, false)).toBe(true);
  });

  it.each([
    { eligible: 3, least: 3, room: false },
    { eligible: 4, least: 3, room: true },
    { eligible: 1, least: 0, room: false },
  ])("has room $room with $eligible usable of which $least must stay", ({ eligible, least, room }) => {
    const census = { present: 5, ejected: 0, eligible };
    expect(hasRoom(options({ minHealthyBackends: least }), census, true)).toBe(room);
  });

  it("counts the outcomes of an interval, apart where connections are judged apart", () => {
    const whole = new OutlierMonitor();
    const split = new OutlierMonitor();
    for (const name of ["ok", "500", "connect", "timeout", "reset", "ignored"]) {
      record(whole, {}, name);
      record(split, SPLIT, name);
    }
    expect([whole.external.total, whole.external.failed]).toEqual([5, 4]);
    expect([split.external.total, split.external.failed]).toEqual([2, 1]);
    expect([split.local.total, split.local.failed]).toEqual([5, 3]);
  });

  it("ejects for longer each time, up to the ceiling, and no further", () => {
    const times = options({ baseEjectionTimeMs: 30_000, maxEjectionTimeMs: 100_000 });
    const monitor = new OutlierMonitor();
    const durations = Array.from({ length: 7 }, () => {
      const until = beginEjection(times, monitor, "consecutive-5xx", COUNTED, 1_000);
      endEjection(monitor, until);
      return until - 1_000;
    });
    expect(durations).toEqual([30_000, 60_000, 90_000, 100_000, 100_000, 100_000, 100_000]);
    // Envoy's bound: it grows while multiplier x base < ceiling + base.
    expect(monitor.multiplier).toBe(5);
  });

  it("adds the jitter past the ceiling, as Envoy does", () => {
    const times = options({ baseEjectionTimeMs: 30_000, maxEjectionTimeMs: 30_000 });
    const given = { durationMs: undefined, jitterMs: 700 };
    expect(beginEjection(times, new OutlierMonitor(), "consecutive-5xx", given, 0)).toBe(30_700);
  });

  it("takes a duration the operator names as it is, without counting it", () => {
    const monitor = new OutlierMonitor();
    expect(beginEjection(options(), monitor, "manual", { durationMs: 70, jitterMs: 5 }, 5)).toBe(75);
    expect(monitor.multiplier).toBe(0);
  });

  it("starts every streak and the interval anew after an ejection", () => {
    const changes = { consecutive5xx: 2 };
    const monitor = new OutlierMonitor();
    record(monitor, changes, "500");
    beginEjection(options(), monitor, "manual", { durationMs: 10, jitterMs: 0 }, 0);
    endEjection(monitor, 10);
    expect([monitor.external.total, monitor.local.total]).toEqual([0, 0]);
    expect(record(monitor, changes, "500")).toBeUndefined();
    expect(record(monitor, changes, "500")).toBe("consecutive-5xx");
  });

  it("forgives one step per interval in service, on time and however late it is asked", () => {
    const times = options({ intervalMs: 10_000 });
    const monitor = new OutlierMonitor();
    for (let ejection = 0; ejection < 4; ejection++) {
      beginEjection(times, monitor, "consecutive-5xx", COUNTED, 0);
      expect(forgivenAtMs(times, monitor)).toBe(Number.POSITIVE_INFINITY);
      forgive(times, monitor, 1_000_000);
      endEjection(monitor, 500);
    }
    expect(forgivenAtMs(times, monitor)).toBe(10_500);
    forgive(times, monitor, 10_499);
    expect(monitor.multiplier).toBe(4);
    forgive(times, monitor, 10_500);
    expect(monitor.multiplier).toBe(3);
    forgive(times, monitor, 30_499);
    expect(monitor.multiplier).toBe(2);
    expect(forgivenAtMs(times, monitor)).toBe(30_500);
    forgive(times, monitor, 1_000_000);
    expect(monitor.multiplier).toBe(0);
    expect(forgivenAtMs(times, monitor)).toBe(Number.POSITIVE_INFINITY);
  });
});
