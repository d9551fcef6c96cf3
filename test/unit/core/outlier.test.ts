import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../src/core/outcome.js";
import {
  type EjectionCause,
  OutlierDetector,
  OutlierMonitor,
  type OutlierOptions,
} from "../../../src/core/outlier.js";

function detector(changes: Partial<OutlierOptions> = {}): OutlierDetector {
  return new OutlierDetector(() => ({
    consecutive5xx: 0,
    consecutiveGatewayFailure: 0,
    consecutiveConnectFailure: 0,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionPercent: 50,
    ...changes,
  }));
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

/** Which detector fired, by the number of the outcome (from 1) it fired at. */
function play(options: Partial<OutlierOptions>, outcomes: string): Record<number, EjectionCause> {
  const subject = detector(options);
  const monitor = new OutlierMonitor();
  const fired: Record<number, EjectionCause> = {};
  outcomes.split(" ").forEach((name, index) => {
    const [outcome, status] = OUTCOME_OF[name] ?? ["ignored", 0];
    const cause = subject.record(monitor, outcome, status);
    if (cause !== undefined) fired[index + 1] = cause;
  });
  return fired;
}

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
  ])("fires at $fired with $options after $outcomes", ({ options, outcomes, fired }) => {
    expect(play(options, outcomes)).toEqual(fired);
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
    expect(detector({ maxEjectionPercent: percent }).hasRoom({ present, ejected, eligible }, true)).toBe(
      room,
    );
  });

  it("may eject one that takes no work anyway, beside the last usable one", () => {
    expect(detector().hasRoom({ present: 2, ejected: 0, eligible: 1 }, false)).toBe(true);
  });

  it("ejects for longer each time, up to the ceiling, and no further", () => {
    const subject = detector({ baseEjectionTimeMs: 30_000, maxEjectionTimeMs: 100_000 });
    const monitor = new OutlierMonitor();
    const durations = Array.from({ length: 7 }, () => {
      const until = subject.eject(monitor, "consecutive-5xx", 1_000, undefined);
      subject.unEject(monitor, until);
      return until - 1_000;
    });
    expect(durations).toEqual([30_000, 60_000, 90_000, 100_000, 100_000, 100_000, 100_000]);
    // Envoy's bound: it grows while multiplier x base < ceiling + base.
    expect(monitor.multiplier).toBe(5);
  });

  it("takes a duration the operator names as it is, without counting it", () => {
    const subject = detector();
    const monitor = new OutlierMonitor();
    expect(subject.eject(monitor, "manual", 5, 70)).toBe(75);
    expect(monitor.multiplier).toBe(0);
  });

  it("starts every streak anew after an ejection", () => {
    const subject = detector({ consecutive5xx: 2 });
    const monitor = new OutlierMonitor();
    subject.record(monitor, "server-error", 500);
    subject.eject(monitor, "manual", 0, 10);
    subject.unEject(monitor, 10);
    expect(subject.record(monitor, "server-error", 500)).toBeUndefined();
    expect(subject.record(monitor, "server-error", 500)).toBe("consecutive-5xx");
  });

  it("forgives one step per interval in service, on time and however late it is asked", () => {
    const subject = detector({ intervalMs: 10_000 });
    const monitor = new OutlierMonitor();
    for (let ejection = 0; ejection < 4; ejection++) {
      subject.eject(monitor, "consecutive-5xx", 0, undefined);
      expect(subject.forgivenAtMs(monitor)).toBe(Number.POSITIVE_INFINITY);
      subject.forgive(monitor, 1_000_000);
      subject.unEject(monitor, 500);
    }
    expect(subject.forgivenAtMs(monitor)).toBe(10_500);
    subject.forgive(monitor, 10_499);
    expect(monitor.multiplier).toBe(4);
    subject.forgive(monitor, 10_500);
    expect(monitor.multiplier).toBe(3);
    subject.forgive(monitor, 30_499);
    expect(monitor.multiplier).toBe(2);
    expect(subject.forgivenAtMs(monitor)).toBe(30_500);
    subject.forgive(monitor, 1_000_000);
    expect(monitor.multiplier).toBe(0);
    expect(subject.forgivenAtMs(monitor)).toBe(Number.POSITIVE_INFINITY);
  });
});
