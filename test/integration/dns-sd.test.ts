import { createSocket } from "node:dgram";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";
import type { DnsSdDiscoveryConfig } from "../../src/config/dns-model.js";
import { createResolver } from "../../src/control/resolver.js";
import type { Source } from "../../src/control/source.js";
import { createDnsSdSource } from "../../src/control/sources/dns-sd/source.js";
import type { StartWorker } from "../../src/control/sources/dns-sd/worker-host.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import { systemClock } from "../../src/platform/clock.js";
import { LinkResponder } from "../support/link-responder.js";
import { until } from "../support/promised.js";
import { seededRandom } from "../support/seeded-random.js";
import { Sidecar } from "../support/sidecar.js";
import { startSourceWorker } from "../support/source-worker.js";
import { RecordingLog } from "../unit/control/sources/consul-config.js";
import { hostilePackets } from "../unit/control/sources/hostile-packets.js";
import { RecordingSink } from "../unit/control/sources/recording-sink.js";

const service = "_pilot._tcp.local";
const SOON_MS = 15_000;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function responder(): Promise<LinkResponder> {
  const opened = await LinkResponder.open(service);
  closers.push(() => opened.close());
  return opened;
}

interface Watched {
  readonly source: Source;
  readonly sink: RecordingSink;
  newest(): readonly Endpoint[];
  ids(): string[];
}

async function watch(
  port: number,
  changes: Partial<DnsSdDiscoveryConfig> = {},
  start: StartWorker = startSourceWorker,
): Promise<Watched> {
  const source = createDnsSdSource(
    { type: "dns-sd", service, interfaces: ["127.0.0.1"], resolve: "one", ...changes },
    {
      clock: systemClock,
      random: Math.random,
      resolver: createResolver({ clock: systemClock, random: Math.random }),
      log: new RecordingLog(),
    },
    { start, port },
  );
  const sink = new RecordingSink();
  source.start(sink);
  closers.push(() => source.stop());
  await until(() => source.status().details.addresses !== "", SOON_MS, "the listener");
  const newest = () => sink.snapshots.at(-1)?.endpoints ?? [];
  return { source, sink, newest, ids: () => newest().map(({ id }) => id) };
}

describe("the dns-sd source and a responder on the same host", () => {
  it("finds instances by asking, with port, weight and text", async () => {
    const link = await responder();
    link.instances.set("one", {
      label: "one",
      port: 8001,
      weight: 3,
      address: "127.0.0.9",
      text: ["zone=a", "path=/x=y"],
    });
    link.instances.set("two.dots", { label: "two.dots", port: 8002, weight: 5, host: "h.local" });
    const { newest, ids } = await watch(link.port);
    await until(() => ids().length === 2, SOON_MS, "two instances");
    expect(newest()).toMatchObject([
      {
        key: "dns-sd/one._pilot._tcp.local",
        id: "one",
        host: "127.0.0.9",
        port: 8001,
        weight: 3,
        admitted: true,
        meta: { zone: "a", path: "/x=y" },
        zone: "a",
        priority: 0,
      },
      { id: "two.dots", host: "127.0.0.1", port: 8002, weight: 5, node: "h.local" },
    ]);
  });

  it("asks for the rest where an answer holds the name alone", async () => {
    const link = await responder();
    link.isTerse = true;
    link.instances.set("one", { label: "one", port: 8001 });
    const { ids } = await watch(link.port);
    await until(() => ids().length === 1, SOON_MS, "an instance");
    expect(new Set(link.asked.map(({ type }) => type))).toEqual(new Set(["PTR", "SRV", "TXT", "A", "AAAA"]));
  });

  it("sees announcements, changes and goodbyes without asking", async () => {
    const link = await responder();
    const { ids, newest } = await watch(link.port);
    await link.announce({ label: "one", port: 8001 });
    await until(() => ids().length === 1, SOON_MS, "the first");
    await link.announce({ label: "two", port: 8002 });
    await until(() => ids().length === 2, SOON_MS, "the second");
    await link.announce({ label: "one", port: 9001 });
    await until(() => newest().some(({ port }) => port === 9001), SOON_MS, "the new port");
    await link.withdraw("one");
    await until(() => ids().join() === "two", SOON_MS, "the goodbye");
    await link.withdraw("two");
    await until(() => ids().length === 0, SOON_MS, "the last goodbye");
  });

  it("asks again before an instance expires, and tells what it knows", async () => {
    const link = await responder();
    const { ids, sink } = await watch(link.port);
    await link.announce({ label: "one", port: 8001, ttl: 1 });
    await until(() => ids().length === 1, SOON_MS, "the instance");
    const before = link.asked.length;
    await until(() => link.asked.length >= before + 6, SOON_MS, "two more rounds of questions");
    expect(ids()).toEqual(["one"]);
    expect(sink.snapshots).toHaveLength(1);
    await link.announce({ label: "two", port: 8002, ttl: 3600 });
    await until(() => link.known.includes("two"), SOON_MS, "a known answer");
  });

  it("hears nobody who is not on the link or speaks from another port", async () => {
    const link = await responder();
    const { source, ids } = await watch(link.port);
    const stranger = createSocket("udp4");
    await new Promise<void>((resolve) => stranger.bind(0, resolve));
    stranger.setMulticastInterface("127.0.0.1");
    closers.push(() => new Promise<void>((resolve) => stranger.close(resolve)));
    const forged = encode({
      type: "response",
      answers: [{ type: "PTR", name: service, ttl: 120, data: `evil.${service}` }],
    });
    stranger.send(forged, link.port, "224.0.0.251");
    await until(() => source.status().details.foreignPackets === "1", SOON_MS, "the count");
    await link.announce({ label: "one", port: 8001 });
    await until(() => ids().length > 0, SOON_MS, "the instance");
    expect(ids()).toEqual(["one"]);
    expect(source.status().details.records).toBe("4");
  });
});

describe("the dns-sd source under attack", () => {
  it("takes no harm from a packet that ends the package's process, nor from any other", async () => {
    const link = await responder();
    const { source, ids } = await watch(link.port);
    for (const [, bytes] of hostilePackets) await link.send(bytes);
    await until(() => Number(source.status().details.malformedPackets) > 0, SOON_MS, "the count");
    const random = seededRandom(11);
    const good = encode({
      type: "response",
      answers: [
        { type: "PTR", name: service, ttl: 120, data: `x.${service}` },
        { type: "SRV", name: `x.${service}`, ttl: 120, data: { port: 1, target: "x.local" } },
        { type: "TXT", name: `x.${service}`, ttl: 120, data: ["a=b"] },
        { type: "A", name: "x.local", ttl: 120, data: "127.0.0.1" },
      ],
    });
    for (let round = 0; round < 1_500; round += 1) {
      const bytes = Buffer.from(good);
      for (let edit = 0; edit < 1 + random() * 8; edit += 1) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      await link.send(bytes.subarray(0, 1 + Math.floor(random() * bytes.length)));
    }
    // More than a second's share of packets came; the link is heard again when their time is over.
    await until(
      async () => {
        await link.announce({ label: "after", port: 8001 });
        return ids().includes("after");
      },
      SOON_MS,
      "an instance after the flood",
    );
    expect(source.status()).toMatchObject({ state: "live", failures: 0 });
  });

  it("replaces a listener that died and keeps the list meanwhile", async () => {
    const link = await responder();
    const started: ReturnType<StartWorker>[] = [];
    const { source, ids, sink } = await watch(link.port, {}, (settings) => {
      const worker = startSourceWorker(settings);
      started.push(worker);
      return worker;
    });
    await link.announce({ label: "one", port: 8001 });
    await until(() => ids().length === 1, SOON_MS, "the instance");
    started[0]?.stop();
    await until(() => source.status().state === "stale", SOON_MS, "the death");
    expect(ids()).toEqual(["one"]);
    await until(() => source.status().state === "live", SOON_MS, "another listener");
    await link.announce({ label: "two", port: 8002 });
    await until(() => ids().length === 2, SOON_MS, "the second instance");
    expect(started).toHaveLength(2);
    expect(source.status().failures).toBe(1);
    expect(sink.states()).toEqual(["live", "stale", "live"]);
  });

  it("says so where there is no interface to listen on", async () => {
    const source = createDnsSdSource(
      { type: "dns-sd", service, interfaces: ["no-such-interface"], resolve: "one" },
      {
        clock: systemClock,
        random: Math.random,
        resolver: createResolver({ clock: systemClock, random: Math.random }),
        log: new RecordingLog(),
      },
      { start: startSourceWorker, port: 5353 },
    );
    closers.push(() => source.stop());
    source.start(new RecordingSink());
    await until(() => source.status().reason !== "", SOON_MS, "the reason");
    expect(source.status()).toMatchObject({
      state: "starting",
      reason: "there is no interface to listen on",
    });
    expect(Object.keys(networkInterfaces())).not.toContain("no-such-interface");
  });
});

describe("the program as it was built", () => {
  it("serves over instances that it heard of on the port of multicast DNS", async () => {
    const link = await LinkResponder.open(service, 5353);
    closers.push(() => link.close());
    const web = createServer((_request, response) => response.end("from the link"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => web.close(resolve)));
    const address = web.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    link.instances.set("one", { label: "one", port });
    const folder = await mkdtemp(join(tmpdir(), "pilotfish-dns-sd-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const sidecar = await Sidecar.start(
      {
        listeners: [{ name: "front", bind: "127.0.0.1:0", pool: "web" }],
        pools: [{ name: "web", discovery: { type: "dns-sd", service, interfaces: ["127.0.0.1"] } }],
      },
      folder,
    );
    closers.push(() => sidecar.stop());
    for (const [, bytes] of hostilePackets) await link.send(bytes);
    await until(
      async () => (await (await fetch(`http://127.0.0.1:${sidecar.port()}/`)).text()) === "from the link",
      SOON_MS,
      "an answer of the instance",
    );
    sidecar.signal("SIGTERM");
    expect(await sidecar.end()).toBe(0);
  });
});
