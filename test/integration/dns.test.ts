import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { decode } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";
import type { DnsDiscoveryConfig } from "../../src/config/dns-model.js";
import { createResolver } from "../../src/control/resolver.js";
import type { Source } from "../../src/control/source.js";
import { createDnsSource } from "../../src/control/sources/dns/source.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import { systemClock } from "../../src/platform/clock.js";
import { isConsulMissing, type RunningConsul, startConsul } from "../support/consul.js";
import { until } from "../support/promised.js";
import { RecordingLog } from "../unit/control/sources/consul-config.js";
import { at, encodeReply, type Reply, srv } from "../unit/control/sources/fake-name-servers.js";
import { RecordingSink } from "../unit/control/sources/recording-sink.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Watched {
  readonly source: Source;
  readonly sink: RecordingSink;
  newest(): readonly Endpoint[];
}

function watch(port: number, changes: Partial<DnsDiscoveryConfig> = {}): Watched {
  const source = createDnsSource(
    {
      type: "dns",
      name: "web.service.consul",
      record: "srv",
      port: undefined,
      resolvers: [{ host: "127.0.0.1", port }],
      minTtlMs: 100,
      maxTtlMs: 300_000,
      hold: { nxMs: 1_000, timeoutMs: undefined, refusedMs: undefined, otherMs: undefined, obsoleteMs: 0 },
      timeoutMs: 1_000,
      retries: 3,
      resolve: "all",
      ...changes,
    },
    {
      clock: systemClock,
      random: Math.random,
      resolver: createResolver({ clock: systemClock, random: Math.random }),
      log: new RecordingLog(),
    },
  );
  const sink = new RecordingSink();
  source.start(sink);
  closers.push(() => source.stop());
  return { source, sink, newest: () => sink.snapshots.at(-1)?.endpoints ?? [] };
}

const SOON_MS = 10_000;

/** A name server on loopback, by UDP and, where an answer for it is given, by TCP on the same port. */
async function nameServer(udp: Reply | undefined, tcp?: Reply, garbage = false): Promise<number> {
  const stream = createServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (bytes: Buffer) => {
      if (tcp === undefined) return socket.destroy();
      const message = encodeReply(bytes.subarray(2), tcp);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      const whole = Buffer.concat([length, message]);
      // In pieces, the length itself cut in two.
      socket.write(whole.subarray(0, 1));
      setImmediate(() => {
        socket.write(whole.subarray(1, 40));
        setImmediate(() => socket.write(whole.subarray(40)));
      });
      return undefined;
    });
  });
  await new Promise<void>((resolve) => stream.listen(0, "127.0.0.1", resolve));
  const address = stream.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const datagrams = createSocket("udp4");
  datagrams.on("message", (query, from) => {
    if (udp === undefined) return;
    if (garbage) datagrams.send(Buffer.from([1, 2, 3]), from.port, from.address);
    datagrams.send(encodeReply(query, udp), from.port, from.address);
  });
  await new Promise<void>((resolve) => datagrams.bind(port, "127.0.0.1", resolve));
  closers.push(
    () => new Promise((resolve) => stream.close(resolve)),
    () => new Promise<void>((resolve) => datagrams.close(resolve)),
  );
  return port;
}

const answer = (...targets: readonly string[]): Reply => ({
  answers: targets.map((target) => srv("web.service.consul", target, 80)),
  additionals: targets.map((target, index) => at("A", target, `10.0.0.${index + 1}`)),
});

describe("the dns source on real sockets", () => {
  it("takes an answer by UDP, past what is none", async () => {
    const port = await nameServer(answer("a.test", "b.test"), undefined, true);
    const { newest } = watch(port);
    await until(() => newest().length > 0, SOON_MS, "a list");
    expect(newest().map(({ id }) => id)).toEqual(["a.test:80", "b.test:80"]);
  });

  it("takes the whole by TCP where UDP cuts, whatever pieces it comes in", async () => {
    const all = Array.from({ length: 50 }, (_, index) => `t${index}.test`);
    const port = await nameServer({ ...answer("t0.test"), isTruncated: true }, answer(...all));
    const { newest } = watch(port);
    await until(() => newest().length > 0, SOON_MS, "a list");
    expect(newest()).toHaveLength(50);
  });

  it("goes past a port where nobody listens to a server that answers", async () => {
    const port = await nameServer(answer("a.test"));
    const gone = createSocket("udp4");
    await new Promise<void>((resolve) => gone.bind(0, "127.0.0.1", resolve));
    const closed = gone.address().port;
    await new Promise<void>((resolve) => gone.close(resolve));
    const started = performance.now();
    const { newest } = watch(port, {
      resolvers: [
        { host: "127.0.0.1", port: closed },
        { host: "127.0.0.1", port },
      ],
    });
    await until(() => newest().length > 0, SOON_MS, "a list");
    // The closed port is reported, not waited for.
    expect(performance.now() - started).toBeLessThan(900);
  });

  it("gives a silent server its time and says so", async () => {
    const port = await nameServer(undefined);
    const { source } = watch(port, { timeoutMs: 50, retries: 1 });
    await until(() => source.status().failures > 0, SOON_MS, "a failure");
    expect(source.status()).toMatchObject({
      state: "starting",
      reason: `127.0.0.1:${port}: no answer within 50 ms`,
      details: { messages: "2" },
    });
  });

  it("asks in a form that other servers read", async () => {
    const asked = new Promise<ReturnType<typeof decode>>((resolve) => {
      const socket = createSocket("udp4");
      socket.on("message", (bytes) => resolve(decode(bytes)));
      socket.bind(0, "127.0.0.1", () => watch(socket.address().port));
      closers.push(() => new Promise<void>((done) => socket.close(done)));
    });
    expect(await asked).toMatchObject({
      flag_rd: true,
      questions: [{ name: "web.service.consul", type: "SRV", class: "IN" }],
      additionals: [{ type: "OPT", udpPayloadSize: 4096 }],
    });
  });
});

describe.skipIf(isConsulMissing())("the dns source at Consul's own DNS interface", () => {
  async function consul(): Promise<{ readonly running: RunningConsul; readonly dns: number }> {
    const running = await startConsul({ dns: true });
    closers.push(() => running.stop());
    return { running, dns: running.dnsPort };
  }

  async function put(running: RunningConsul, path: string, body: unknown = {}): Promise<void> {
    const answer = await fetch(`${running.url}/v1${path}`, { method: "PUT", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
  }

  async function register(running: RunningConsul, index: number, more: object = {}): Promise<void> {
    await put(running, "/agent/service/register", {
      Name: "web",
      ID: `web-${index}`,
      Address: `10.1.0.${index}`,
      Port: 8_000 + index,
      ...more,
    });
  }

  it("finds 20 instances, then 120 that no datagram holds, with weights, and follows their going", async () => {
    const { running, dns } = await consul();
    for (let index = 1; index <= 20; index += 1) {
      await register(running, index, { Weights: { Passing: index, Warning: 1 } });
    }
    const { newest, source } = watch(dns);
    await until(() => newest().length === 20, SOON_MS, "20 instances");
    expect(
      newest()
        .map(({ host, port, weight }) => `${host}:${port} ${weight}`)
        .sort(),
    ).toEqual(Array.from({ length: 20 }, (_, at) => `10.1.0.${at + 1}:${8_001 + at} ${at + 1}`).sort());
    for (let index = 21; index <= 120; index += 1) await register(running, index);
    await until(() => newest().length === 120, SOON_MS, "120 instances");
    for (let index = 3; index <= 120; index += 1) {
      await put(running, `/agent/service/deregister/web-${index}`);
    }
    await until(() => newest().length === 2, SOON_MS, "2 instances");
    expect(source.status().state).toBe("live");
  });

  it("holds the last list when the last instance goes, and when the agent does", async () => {
    const { running, dns } = await consul();
    await register(running, 1);
    const { newest, source } = watch(dns, { timeoutMs: 100, retries: 0 });
    await until(() => newest().length === 1, SOON_MS, "an instance");
    await put(running, "/agent/service/deregister/web-1");
    await until(() => source.status().state === "suspect", SOON_MS, "suspicion");
    expect(newest()).toMatchObject([{ admitted: true }]);
    await until(() => newest()[0]?.admitted === false, SOON_MS, "belief");
    await register(running, 1);
    await until(() => newest()[0]?.admitted === true, SOON_MS, "the return");
    await running.kill();
    await until(() => source.status().consecutiveFailures >= 2, SOON_MS, "two failures");
    expect(source.status()).toMatchObject({ state: "stale", endpoints: 1 });
    expect(newest()).toMatchObject([{ admitted: true, host: "10.1.0.1", port: 8_001 }]);
  });

  it("reads addresses with a port of its own", async () => {
    const { running, dns } = await consul();
    await register(running, 1);
    await register(running, 2);
    const { newest } = watch(dns, { record: "a", port: 80 });
    await until(() => newest().length === 2, SOON_MS, "two addresses");
    expect(newest().map(({ host, port }) => `${host}:${port}`)).toEqual(["10.1.0.1:80", "10.1.0.2:80"]);
  });
});
