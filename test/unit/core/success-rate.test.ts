import {
  OutlierDetectionLoadBalancer,
  OutlierDetectionLoadBalancingConfig,
} from "@grpc/grpc-js/build/src/load-balancer-outlier-detection.js";
import { describe, expect, it } from "vitest";
import { type OutlierOptions, Tally } from "../../../src/core/outlier.js";
import {
  failureOutliers,
  rateOutliers,
  type Sample,
  successRateThreshold,
} from "../../../src/core/success-rate.js";
import { OUTLIER } from "../../support/pool-fixture.js";
import { seededRandom } from "../../support/seeded-random.js";

/** Envoy's defaults. */
const ENVOY: OutlierOptions = {
  ...OUTLIER,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1_900,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
};

type Counts = readonly [succeeded: number, failed: number];

function samplesOf(counts: readonly Counts[]): Sample<number>[] {
  return counts.map(([succeeded, failed], subject) => {
    const tally = new Tally();
    tally.total = succeeded + failed;
    tally.failed = failed;
    return { subject, tally };
  });
}

const firsts = (found: Iterable<readonly [number, string]>): number[] =>
  [...found].map(([subject]) => subject);

describe("success rate", () => {
  it("has Envoy's published values: 50, 100, 100, 100, 100 give mean 90, deviation 20, threshold 52", () => {
    expect(successRateThreshold([50, 100, 100, 100, 100], ENVOY)).toEqual({
      mean: 90,
      stdev: 20,
      threshold: 52,
    });
  });

  it("says so in words", () => {
    const found = [...rateOutliers(samplesOf([[50, 50], ...Array(4).fill([100, 0])]), ENVOY)];
    expect(found).toEqual([[0, "50% succeeded, less than 52% (mean 90%, deviation 20%)"]]);
  });

  it.each([
    { counts: [[50, 50], ...Array(3).fill([100, 0])], found: [], why: "four are too few" },
    {
      counts: [[50, 49], ...Array(4).fill([100, 0])],
      found: [],
      why: "99 requests are too few, and leave four",
    },
    {
      counts: [
        [100, 0],
        [100, 0],
        [100, 0],
        [100, 0],
        [100, 0],
      ],
      found: [],
      why: "all are alike",
    },
    { counts: Array(9).fill([67, 33]), found: [], why: "all are alike, and no sum of thirds is exact" },
    { counts: [[52, 48], ...Array(4).fill([100, 0])], found: [0], why: "any one of five that differs" },
    {
      counts: [
        [0, 100],
        [0, 100],
        [100, 0],
        [100, 0],
        [100, 0],
      ],
      found: [],
      why: "two of five are a crowd",
    },
    {
      counts: [[0, 0], [50, 50], ...Array(4).fill([100, 0])],
      found: [1],
      why: "one without requests is left out",
    },
  ] as { counts: Counts[]; found: number[]; why: string }[])("finds $found: $why", ({ counts, found }) => {
    expect(firsts(rateOutliers(samplesOf(counts), ENVOY))).toEqual(found);
  });

  it("is never reached with nothing to compare, whatever the options", () => {
    const lax = {
      ...ENVOY,
      successRateMinimumHosts: 0,
      successRateRequestVolume: 0,
      failurePercentageMinimumHosts: 0,
      failurePercentageRequestVolume: 0,
    };
    expect(firsts(rateOutliers(samplesOf([[0, 0]]), lax))).toEqual([]);
    expect(firsts(failureOutliers(samplesOf([[0, 0]]), lax))).toEqual([]);
  });
});

describe("failure percentage", () => {
  it.each([
    {
      counts: [[15, 85], ...Array(4).fill([100, 0])],
      found: [0],
      why: "85% is Envoy's threshold, itself included",
    },
    { counts: [[16, 84], ...Array(4).fill([100, 0])], found: [], why: "84% is below" },
    { counts: [[0, 49], ...Array(5).fill([100, 0])], found: [], why: "49 requests are too few" },
    { counts: [[0, 50], ...Array(3).fill([100, 0])], found: [], why: "four are too few" },
    { counts: Array(5).fill([0, 100]), found: [0, 1, 2, 3, 4], why: "nobody is compared" },
  ] as { counts: Counts[]; found: number[]; why: string }[])("finds $found: $why", ({ counts, found }) => {
    expect(firsts(failureOutliers(samplesOf(counts), ENVOY))).toEqual(found);
  });

  it("finds one of two with the minimum at two, and nobody at threshold 0", () => {
    const samples = samplesOf([
      [0, 50],
      [100, 0],
    ]);
    expect(firsts(failureOutliers(samples, { ...ENVOY, failurePercentageMinimumHosts: 2 }))).toEqual([0]);
    expect(
      firsts(
        failureOutliers(samples, {
          ...ENVOY,
          failurePercentageMinimumHosts: 2,
          failurePercentageThreshold: 0,
        }),
      ),
    ).toEqual([]);
  });
});

/** Which entries grpc-js would eject, in a world without a cap. */
function ejectedByGrpc(
  counts: readonly Counts[],
  check: "runSuccessRateCheck" | "runFailurePercentageCheck",
): number[] {
  const ejected: number[] = [];
  const counters = counts.map(([succeeded, failed], index) => ({
    index,
    counter: { getLastSuccesses: () => succeeded, getLastFailures: () => failed },
  }));
  const balancer = Object.create(OutlierDetectionLoadBalancer.prototype);
  Object.assign(balancer, {
    latestConfig: new OutlierDetectionLoadBalancingConfig(
      10_000,
      30_000,
      300_000,
      100,
      { stdev_factor: 1_900, enforcement_percentage: 100, minimum_hosts: 5, request_volume: 100 },
      { threshold: 85, enforcement_percentage: 100, minimum_hosts: 5, request_volume: 50 },
      { getLoadBalancerName: () => "round_robin", toJsonObject: () => ({}) },
    ),
    entryMap: new Map(counters.map((entry) => [{ addresses: [{ host: "a", port: entry.index }] }, entry])),
    getCurrentEjectionPercent: () => 0,
    eject: ({ index }: { readonly index: number }) => ejected.push(index),
  });
  balancer[check](new Date(0));
  return ejected;
}

/** Intervals of up to twelve backends of which some fail, with volumes around the limits. */
function* intervals(): Generator<Counts[]> {
  const random = seededRandom(77);
  for (let round = 0; round < 3_000; round++) {
    yield Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
      const total = Math.floor(random() * 200);
      const share = random() < 0.2 ? random() : random() * 0.03;
      const failed = Math.round(total * share);
      return [total - failed, failed] as const;
    });
  }
}

describe("beside grpc-js", () => {
  it("finds the same outliers by success rate", () => {
    let some = 0;
    for (const counts of intervals()) {
      const ours = firsts(rateOutliers(samplesOf(counts), ENVOY));
      expect(ours, JSON.stringify(counts)).toEqual(ejectedByGrpc(counts, "runSuccessRateCheck"));
      some += Math.min(ours.length, 1);
    }
    expect(some).toBeGreaterThan(200);
  });

  it("finds the same by failure percentage, but that grpc spares exactly the threshold, which Envoy does not", () => {
    let some = 0;
    for (const counts of intervals()) {
      const samples = samplesOf(counts);
      const atThreshold = counts.map(
        ([succeeded, failed]) => 100 - (100 * succeeded) / (succeeded + failed) === 85,
      );
      const ours = firsts(failureOutliers(samples, ENVOY)).filter((subject) => !atThreshold[subject]);
      expect(ours, JSON.stringify(counts)).toEqual(ejectedByGrpc(counts, "runFailurePercentageCheck"));
      some += Math.min(ours.length, 1);
    }
    expect(some).toBeGreaterThan(50);
    const exactly: Counts[] = [
      [15, 85],
      [100, 0],
      [100, 0],
      [100, 0],
      [100, 0],
    ];
    expect(ejectedByGrpc(exactly, "runFailurePercentageCheck")).toEqual([]);
    expect(firsts(failureOutliers(samplesOf(exactly), ENVOY))).toEqual([0]);
  });
});
