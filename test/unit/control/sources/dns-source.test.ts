import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DnsDiscoveryConfig } from "../../../../src/config/dns-model.js";
import type { Source } from "../../../../src/control/source.js";
import { createDnsSource } from "../../../../src/control/sources/dns/source.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { RecordingLog } from "./consul-config.js";
import { at, type Behaviour, FakeNameServers, soa, srv } from "./fake-name-servers.js";
import { FakeResolver, RecordingSink } from "./recording-sink.js";

const base: DnsDiscoveryConfig = {
  type: "dns",
  name: "web.test",
  record: "srv",
  port: undefined,
  resolvers: [{ host: "10.0.0.53", port: 8600 }],
  minTtlMs: 1_000,
  maxTtlMs: 300_000,
  hold: { nxMs: 30_000, timeoutMs: undefined, refusedMs: undefined, otherMs: 20_000, obsoleteMs: 0 },
  timeoutMs: 1_000,
  retries: 0,
  resolve: "all",
};

let clock = new ManualClock();
let servers = new FakeNameServers();
let sink = new RecordingSink();
let log = new RecordingLog();
let source: Source | undefined;

beforeEach(() => {
  clock = new ManualClock();
  servers = new FakeNameServers();
  sink = new RecordingSink();
  log = new RecordingLog();
});

afterEach(() => {
  source?.stop();
  expect(clock.pendingTimers()).toBe(0);
});

/** What the name server says of two instances, or of fewer. */
function instances(ttl: number, ...targets: readonly string[]): Behaviour {
  return {
    answers: targets.map((target) => srv("web.test", target, 80, { ttl })),
    additionals: targets.map((target, index) => at("A", target, `10.0.0.${index + 1}`, 600)),
  };
}

async function run(changes: Partial<DnsDiscoveryConfig> = {}, random = 0): Promise<Source> {
  const made = createDnsSource(
    { ...base, ...changes },
    { clock, random: () => random, resolver: new FakeResolver(), log },
    servers,
  );
  source = made;
  made.start(sink);
  expect(sink.snapshots).toHaveLength(0);
  await clock.advance(0);
  return made;
}

const newest = () => sink.snapshots.at(-1)?.endpoints.map(({ id, admitted }) => `${id} ${admitted}`);

describe("a dns source", () => {
  it("delivers the first answer and asks again when its time to live is over", async () => {
    servers.zone.set("SRV web.test", instances(10, "a.test", "b.test"));
    const made = await run();
    expect(sink.lists()).toEqual([["a.test:80=10.0.0.1:80", "b.test:80=10.0.0.2:80"]]);
    expect(made.status()).toMatchObject({
      kind: "dns",
      target: "SRV web.test at 10.0.0.53:8600",
      state: "live",
      reason: "",
      endpoints: 2,
      details: { ttlMs: "10000" },
    });
    await clock.advance(9_999);
    expect(servers.asked).toHaveLength(1);
    servers.zone.set("SRV web.test", instances(10, "a.test"));
    await clock.advance(1);
    expect(servers.asked).toHaveLength(2);
    expect(sink.lists()[1]).toEqual(["a.test:80=10.0.0.1:80"]);
  });

  it.each([
    [0, 0, 1_000],
    [86_400, 0, 300_000],
    [10, 1, 10_500],
  ])("a time to live of %i s by chance %d means %i ms", async (ttl, random, expectedMs) => {
    servers.zone.set("SRV web.test", instances(ttl, "a.test"));
    servers.zone.set("SRV web.test", {
      answers: [srv("web.test", "a.test", 80, { ttl })],
      additionals: [at("A", "a.test", "10.0.0.1", 1_000_000)],
    });
    await run({}, random);
    await clock.advance(expectedMs - 1);
    expect(servers.asked).toHaveLength(1);
    await clock.advance(1);
    expect(servers.asked).toHaveLength(2);
  });

  it("says nothing of an answer that changes nothing", async () => {
    servers.zone.set("SRV web.test", instances(1, "a.test"));
    await run();
    await clock.advance(60_000);
    expect(servers.asked.length).toBeGreaterThan(50);
    expect(sink.snapshots).toHaveLength(1);
    expect(sink.states()).toEqual(["live"]);
  });

  it.each(["silent", { rcode: "REFUSED" }] as const)(
    "keeps the list for ever while %j",
    async (behaviour) => {
      servers.zone.set("SRV web.test", instances(1, "a.test"));
      const made = await run();
      servers.zone.set("SRV web.test", behaviour);
      await clock.advance(24 * 3_600_000);
      expect(sink.snapshots).toHaveLength(1);
      expect(made.status()).toMatchObject({ state: "stale", endpoints: 1 });
      expect(made.status().consecutiveFailures).toBeGreaterThan(2_000);
      servers.zone.set("SRV web.test", instances(1, "a.test"));
      await clock.advance(30_000);
      expect(sink.states()).toEqual(["live", "stale", "live"]);
    },
  );

  it("asks less and less often while it fails, 1 s to 30 s", async () => {
    servers.zone.set("SRV web.test", "silent");
    await run({}, 1);
    const times: number[] = [];
    for (let second = 1; second <= 130; second += 1) {
      servers.takeAsked();
      await clock.advance(1_000);
      if (servers.asked.length > 0) times.push(second);
    }
    expect(times).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
    expect(sink.snapshots).toHaveLength(0);
    expect(source?.status()).toMatchObject({ state: "starting", endpoints: 0 });
  });

  it("disbelieves that there is none for the hold time; then the instances stay without work", async () => {
    servers.zone.set("SRV web.test", instances(1, "a.test"));
    const made = await run();
    servers.zone.set("SRV web.test", { rcode: "NXDOMAIN", authorities: [soa(0, 0)] });
    await clock.advance(29_999);
    expect(newest()).toEqual(["a.test:80 true"]);
    expect(made.status()).toMatchObject({ state: "suspect", reason: "10.0.0.53:8600: NXDOMAIN" });
    await clock.advance(1);
    expect(newest()).toEqual(["a.test:80 false"]);
    expect(made.status()).toMatchObject({ state: "stale", endpoints: 1 });
    servers.zone.set("SRV web.test", instances(1, "a.test"));
    await clock.advance(1_000);
    expect(newest()).toEqual(["a.test:80 true"]);
    expect(sink.states()).toEqual(["live", "suspect", "stale", "live"]);
  });

  it("takes work away on time, though nothing was asked at that moment", async () => {
    servers.zone.set("SRV web.test", instances(1, "a.test"));
    await run();
    servers.zone.set("SRV web.test", { rcode: "SERVFAIL" });
    await clock.advance(19_999);
    expect(newest()).toEqual(["a.test:80 true"]);
    await clock.advance(1);
    expect(newest()).toEqual(["a.test:80 false"]);
  });

  it("keeps an instance that is missing in an answer for `hold.obsolete`", async () => {
    servers.zone.set("SRV web.test", instances(60, "a.test", "b.test"));
    await run({ hold: { ...base.hold, obsoleteMs: 5_000 } });
    servers.zone.set("SRV web.test", instances(60, "a.test"));
    await clock.advance(60_000 + 4_999);
    expect(newest()).toHaveLength(2);
    await clock.advance(1);
    expect(newest()).toEqual(["a.test:80 true"]);
  });

  it("asks for addresses where that is wanted", async () => {
    servers.zone.set("A web.test", { answers: [at("A", "web.test", "10.0.0.9")] });
    const made = await run({ record: "a", port: 8080 });
    expect(sink.lists()).toEqual([["10.0.0.9:8080=10.0.0.9:8080"]]);
    expect(made.status().target).toBe("A web.test at 10.0.0.53:8600");
  });

  it("offers a list again that the pool did not take", async () => {
    servers.zone.set("SRV web.test", instances(60, "a.test"));
    let refusals = 1;
    const take = sink.onSnapshot.bind(sink);
    sink.onSnapshot = (snapshot) => {
      refusals -= 1;
      if (refusals >= 0) throw new Error("full");
      take(snapshot);
    };
    await run();
    expect(sink.snapshots).toHaveLength(0);
    await clock.advance(1_000);
    expect(sink.snapshots).toHaveLength(1);
  });

  it("is silent once it was stopped", async () => {
    servers.zone.set("SRV web.test", instances(1, "a.test"));
    const made = await run();
    made.stop();
    servers.zone.set("SRV web.test", instances(1, "b.test"));
    await clock.advance(60_000);
    expect(sink.snapshots).toHaveLength(1);
    expect(servers.asked).toHaveLength(1);
  });
});
