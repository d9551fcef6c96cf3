import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Source } from "../../../../src/control/source.js";
import type { WorkerOrder, WorkerReport } from "../../../../src/control/sources/dns-sd/messages.js";
import { createDnsSdSource } from "../../../../src/control/sources/dns-sd/source.js";
import type { LinkWorker } from "../../../../src/control/sources/dns-sd/worker-host.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { RecordingLog } from "./consul-config.js";
import { FakeResolver, RecordingSink } from "./recording-sink.js";

const service = "_http._tcp.local";

/** A listener's thread whose reports the test writes. */
class FakeWorker implements LinkWorker {
  readonly orders: WorkerOrder[] = [];
  isStopped = false;
  report: (report: WorkerReport) => void = () => undefined;
  die: (reason: string) => void = () => undefined;

  onReport(take: (report: WorkerReport) => void): void {
    this.report = take;
  }

  onEnd(take: (reason: string) => void): void {
    this.die = take;
  }

  post(order: WorkerOrder): void {
    this.orders.push(order);
  }

  stop(): void {
    this.isStopped = true;
  }

  hear(label: string, ttlSeconds = 1_000): void {
    const name = `${label}.${service}`;
    const target = `${label}.local`;
    this.report({
      kind: "heard",
      sender: { address: "192.0.2.1", link: "eth0" },
      records: [
        { type: "PTR", name: service, ttlSeconds, isFlush: false, target: name },
        { type: "SRV", name, ttlSeconds, isFlush: true, priority: 0, weight: 0, port: 80, target },
        { type: "TXT", name, ttlSeconds, isFlush: true, entries: [] },
        { type: "A", name: target, ttlSeconds, isFlush: true, address: "192.0.2.7" },
      ],
    });
  }

  listen(...addresses: readonly string[]): void {
    this.report({ kind: "listening", addresses });
  }
}

let clock = new ManualClock();
let workers: FakeWorker[] = [];
let sink = new RecordingSink();
let source: Source;

beforeEach(() => {
  clock = new ManualClock();
  workers = [];
  sink = new RecordingSink();
  source = createDnsSdSource(
    { type: "dns-sd", service, interfaces: undefined, resolve: "one" },
    { clock, random: () => 0.999_999, resolver: new FakeResolver(), log: new RecordingLog() },
    {
      start: (settings) => {
        expect(settings).toEqual({ port: 5353, interfaces: undefined });
        const worker = new FakeWorker();
        workers.push(worker);
        return worker;
      },
    },
  );
  source.start(sink);
});

afterEach(() => {
  source.stop();
  expect(clock.pendingTimers()).toBe(0);
});

function worker(at = -1): FakeWorker {
  const found = workers.at(at);
  if (found === undefined) throw new Error("no worker");
  return found;
}

const ids = () => sink.snapshots.at(-1)?.endpoints.map(({ id }) => id);

describe("the dns-sd source", () => {
  it("asks once the listener listens, and delivers what it hears", async () => {
    await clock.advance(1_000);
    expect(worker().orders).toEqual([]);
    worker().listen("192.0.2.2");
    await clock.advance(200);
    expect(worker().orders.map(({ kind }) => kind)).toEqual(["send"]);
    worker().hear("web");
    await clock.advance(50);
    expect(sink.lists()).toEqual([["web=192.0.2.7:80"]]);
    expect(worker().orders.at(-1)).toEqual({ kind: "taken" });
    expect(source.status()).toMatchObject({
      kind: "dns-sd",
      target: `${service} on every interface`,
      state: "live",
      endpoints: 1,
      details: { addresses: "192.0.2.2", records: "4" },
    });
  });

  it("says that there is nobody when nobody answered the first questions", async () => {
    worker().listen("192.0.2.2");
    await clock.advance(4_400);
    expect(sink.snapshots).toEqual([]);
    await clock.advance(4_000);
    expect(sink.snapshots).toEqual([{ endpoints: [] }]);
  });

  it("keeps the list while it has no listener, and starts others later and later", async () => {
    worker().listen("192.0.2.2");
    worker().hear("web", 10);
    await clock.advance(50);
    for (const delayMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const before = workers.length;
      worker().die("stack overflow");
      expect(source.status()).toMatchObject({
        state: "stale",
        reason: "the listener died: stack overflow",
        endpoints: 1,
      });
      await clock.advance(delayMs - 1);
      expect(workers).toHaveLength(before);
      await clock.advance(1);
      expect(workers).toHaveLength(before + 1);
    }
    expect(ids()).toEqual(["web"]);
    expect(source.status().failures).toBe(8);
  });

  it("starts anew at a short delay when the last one had lived for a minute", async () => {
    worker().die("a");
    await clock.advance(1_000);
    worker().die("b");
    await clock.advance(2_000);
    await clock.advance(60_000);
    worker().die("c");
    await clock.advance(1_000);
    expect(workers).toHaveLength(4);
  });

  it("asks anew when it listens elsewhere, and hears nothing where it listens nowhere", async () => {
    worker().listen("192.0.2.2");
    worker().hear("web", 10);
    await clock.advance(7_500);
    worker().listen();
    expect(source.status()).toMatchObject({
      state: "stale",
      reason: "there is no interface to listen on",
    });
    const before = worker().orders.length;
    await clock.advance(3_600_000);
    expect(worker().orders).toHaveLength(before);
    expect(ids()).toEqual(["web"]);
    worker().listen("198.51.100.1");
    await clock.advance(1_500);
    expect(worker().orders.length).toBeGreaterThan(before + 1);
    expect(sink.states()).toEqual(["live", "stale", "live"]);
  });

  it("is suspicious of silence", async () => {
    worker().listen("192.0.2.2");
    worker().hear("web", 60);
    await clock.advance(61_000);
    expect(ids()).toEqual(["web"]);
    expect(source.status()).toMatchObject({
      state: "suspect",
      reason: "nobody answers any more; the last instances stay",
    });
    worker().hear("web", 60);
    await clock.advance(100);
    expect(sink.states()).toEqual(["live", "suspect", "live"]);
  });

  it("tells of packets that were not taken", () => {
    worker().report({ kind: "counts", counts: { malformed: 1, foreign: 2, flooded: 3 } });
    expect(source.status().details).toMatchObject({
      malformedPackets: "1",
      foreignPackets: "2",
      floodedPackets: "3",
    });
  });

  it("offers a list again that the pool did not take", async () => {
    const take = sink.onSnapshot.bind(sink);
    sink.onSnapshot = () => {
      sink.onSnapshot = take;
      throw new Error("full");
    };
    worker().listen("192.0.2.2");
    await clock.advance(0);
    worker().hear("web");
    await clock.advance(50);
    expect(sink.snapshots).toEqual([]);
    await clock.advance(1_000);
    expect(ids()).toEqual(["web"]);
  });

  it("ends its listener and is silent once it was stopped", async () => {
    worker().listen("192.0.2.2");
    source.stop();
    expect(worker().isStopped).toBe(true);
    worker().hear("web");
    worker().die("terminated");
    await clock.advance(100_000);
    expect(sink.snapshots).toEqual([]);
    expect(workers).toHaveLength(1);
  });
});
