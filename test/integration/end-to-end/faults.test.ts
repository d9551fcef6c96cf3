import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { BackendProcess } from "../../support/backend-process.js";
import { ask } from "../../support/load.js";
import { pause, until } from "../../support/promised.js";
import { connectTo, type RawConnection } from "../../support/raw-connection.js";
import { refusedPort } from "../../support/refused-port.js";
import type { Sidecar } from "../../support/sidecar.js";
import { Stage, show } from "./stage.js";

const MIB = 1024 * 1024;
const GET = "GET /work HTTP/1.1\r\nHost: web\r\n\r\n";
let stage: Stage;
const open: RawConnection[] = [];

afterEach(() => {
  for (const connection of open.splice(0)) connection.destroy();
});

interface Scene {
  readonly backends: readonly BackendProcess[];
  readonly sidecar: Sidecar;
}

/** Backends named by the configuration, so that nothing but the fault is in play. */
async function scene(
  ids: readonly string[],
  more: { pool?: object; listener?: object; also?: readonly string[] } = {},
): Promise<Scene> {
  stage = await Stage.open();
  const backends = await stage.backends(...ids);
  const addresses = [...(more.also ?? []), ...backends.map(({ port }) => `127.0.0.1:${port}`)];
  const sidecar = await stage.sidecar({
    listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web", ...more.listener }],
    pools: [
      {
        name: "web",
        discovery: { type: "static", endpoints: addresses },
        outlierDetection: "off",
        ...more.pool,
      },
    ],
  });
  return { backends, sidecar };
}

function only({ backends }: Scene): BackendProcess {
  const [backend] = backends;
  if (backend === undefined) throw new Error("no backend");
  return backend;
}

async function client(sidecar: Sidecar, options: { keepsText?: boolean } = {}): Promise<RawConnection> {
  const connection = await connectTo(sidecar.port(), options);
  open.push(connection);
  return connection;
}

function clients(count: number, sidecar: Sidecar): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => client(sidecar, { keepsText: false })));
}

/** Resident memory once it no longer grows; what it has grown by since `before`. */
async function settledGrowth(sidecar: Sidecar, before: number): Promise<number> {
  let last = 0;
  for (let now = sidecar.rssMiB(); Math.abs(now - last) > 1; now = sidecar.rssMiB()) {
    last = now;
    await pause(250);
  }
  return last - before;
}

describe("backends that fail", () => {
  afterEach(() => stage.close());

  it("accept and never answer: 504 at the server timeout, and nobody else waits", async () => {
    const { sidecar } = await scene(["one"], { pool: { timeouts: { server: "700ms" } } });
    const startedMs = performance.now();
    const silent = ask(sidecar.port(), "/hang");
    for (let number = 0; number < 20; number++) expect((await ask(sidecar.port())).status).toBe(200);
    const others = performance.now() - startedMs;
    const answer = await silent;
    const tookMs = performance.now() - startedMs;
    expect(answer.status).toBe(504);
    expect(answer.body).toContain("did not answer in time");
    expect(tookMs).toBeGreaterThan(690);
    expect(tookMs).toBeLessThan(1_700);
    expect(others).toBeLessThan(5_000);
  });

  it("refuse: the request goes to another at once, a POST too; 503 soon when none is left", async () => {
    const refusing = `127.0.0.1:${await refusedPort()}`;
    const both = await scene(["one"], { also: [refusing] });
    const startedMs = performance.now();
    for (let number = 0; number < 20; number++) {
      const answer = await ask(both.sidecar.port(), "/work", { method: "POST", body: "x" });
      expect(answer).toMatchObject({ status: 200, backend: "one" });
    }
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect((await only(both).counts()).executed).toBe(20);
    await stage.close();

    const none = await scene([], {
      also: [refusing],
      pool: { retries: { max: 2 }, timeouts: { connect: "300ms" } },
    });
    const alsoMs = performance.now();
    const answer = await ask(none.sidecar.port());
    expect([answer.status, answer.body]).toEqual([
      503,
      "503 pilotfish: connection refused by the backend in pool web\n",
    ]);
    expect(performance.now() - alsoMs).toBeLessThan(4_000);
  });

  it("come back: served again within three seconds", async () => {
    const { sidecar, backends } = await scene(["one"], {
      pool: {
        // Alone and down: with the default, panic would serve it all the same.
        panicThreshold: 0,
        healthCheck: { type: "http", path: "/status", interval: "100ms", timeout: "100ms", fall: 2, rise: 2 },
      },
    });
    const [one] = backends;
    one?.set({ healthStatus: 500 });
    await until(async () => (await ask(sidecar.port())).status === 503, 5_000, "down");
    one?.set({ healthStatus: 200 });
    const tookMs = await until(async () => (await ask(sidecar.port())).status === 200, 5_000, "up");
    expect(tookMs).toBeLessThan(3_000);
  });

  it("die in the body: the client sees the cut and never a clean end", async () => {
    const { sidecar, backends } = await scene(["one"]);
    const reader = await client(sidecar, { keepsText: false });
    reader.write(`GET /half?n=${MIB} HTTP/1.1\r\nHost: web\r\n\r\n`);
    await until(() => reader.bytes > MIB / 2, 5_000, "half the body");
    const startedMs = performance.now();
    backends[0]?.kill();
    await reader.hasStopped();
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(reader.bytes).toBeLessThan(MIB);
  });

  it("hang up over a POST: 502, and it was executed once", async () => {
    stage = await Stage.open();
    let seen = 0;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => {
        seen++;
        socket.resetAndDestroy();
      });
    });
    stage.defer(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const sidecar = await stage.sidecar({
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [{ name: "web", discovery: { type: "static", endpoints: [`127.0.0.1:${address.port}`] } }],
    });
    expect((await ask(sidecar.port(), "/work", { method: "POST", body: "x" })).status).toBe(502);
    expect(seen).toBe(1);
    // A GET may be tried again, but not for ever.
    expect((await ask(sidecar.port())).status).toBe(502);
    expect(seen).toBeLessThanOrEqual(6);
  });
});

describe("clients that misbehave", () => {
  // One scene for all: whatever a client does, the next one finds everything in order.
  let all: Scene;

  beforeAll(async () => {
    all = await scene(["one"]);
    await ask(all.sidecar.port());
  });
  afterAll(() => stage.close());

  it("40 readers of 20 MB stop: memory stays bounded, others are served, and each gets the rest", async () => {
    const { sidecar } = all;
    const before = sidecar.rssMiB();
    const readers = await clients(40, sidecar);
    for (const reader of readers) reader.write(`GET /bytes?n=${20 * MIB} HTTP/1.1\r\nHost: web\r\n\r\n`);
    await until(() => readers.every(({ bytes }) => bytes > 0), 10_000, "the first bytes");
    for (const reader of readers) reader.pause();
    const growth = await settledGrowth(sidecar, before);
    show("40 stopped readers of 20 MB", { "MiB more": growth.toFixed(1) });
    expect(growth).toBeLessThan(96);
    expect((await ask(sidecar.port())).status).toBe(200);
    const [first] = readers;
    first?.resume();
    await until(() => (first?.bytes ?? 0) > 20 * MIB, 10_000, "the rest");
  });

  it("2,000 pipelined requests and no reading: memory stays bounded, and all are answered in the end", async () => {
    const { sidecar } = all;
    const before = sidecar.rssMiB();
    const writers = await clients(4, sidecar);
    for (const writer of writers) {
      writer.pause();
      // Answers of 128 MiB together per connection.
      writer.write("GET /bytes?n=65536 HTTP/1.1\r\nHost: web\r\n\r\n".repeat(2_000));
    }
    await pause(500);
    const growth = await settledGrowth(sidecar, before);
    show("4 x 2,000 pipelined, unread", { "MiB more": growth.toFixed(1) });
    expect(growth).toBeLessThan(64);
    expect((await ask(sidecar.port())).status).toBe(200);
    const reader = await client(sidecar);
    reader.write(GET.repeat(2_000));
    const answers = () => reader.text.split("HTTP/1.1 200 ").length - 1;
    await until(() => answers() === 2_000, 15_000, "2,000 answers");
  }, 40_000);

  it("vanish in their request's body: the backend's connection goes, and the pool stays in step", async () => {
    const held = all;
    const { sidecar } = held;
    const one = only(held);
    await until(async () => (await one.counts()).open === 0, 5_000, "the end of what was before");
    const before = (await one.counts()).cutShort;
    for (let number = 0; number < 10; number++) {
      const leaver = await client(sidecar);
      leaver.write(`POST /work HTTP/1.1\r\nHost: web\r\nContent-Length: 100000\r\n\r\n${"x".repeat(20_000)}`);
      await pause(10);
      if (number % 2 === 0) leaver.reset();
      else leaver.destroy();
    }
    await until(async () => (await one.counts()).cutShort >= before + 8, 5_000, "the cuts");
    const report = await stage
      .load("after", { port: sidecar.port(), open: 8, total: 200, methods: ["GET", "POST"] })
      .finish();
    expect(report.problems()).toEqual({});
    await until(
      async () => (await sidecar.metric("pilotfish_backend_current_sessions")) === 0,
      5_000,
      "no leases",
    );
  });

  it("vanish in a 200 MB download: the backend is stopped within two seconds", async () => {
    const held = all;
    const { sidecar } = held;
    const one = only(held);
    await until(async () => (await one.counts()).open === 0, 5_000, "the end of what was before");
    const before = await one.counts();
    const reader = await client(sidecar, { keepsText: false });
    reader.write(`GET /bytes?n=${200 * MIB} HTTP/1.1\r\nHost: web\r\n\r\n`);
    await until(() => reader.bytes > MIB, 5_000, "the beginning");
    reader.reset();
    await until(async () => (await one.counts()).cutShort > before.cutShort, 2_000, "the backend's end");
    expect((await one.counts()).bytesSent - before.bytesSent).toBeLessThan(200 * MIB);
    await until(async () => (await one.counts()).open === 0, 2_000, "nothing open");
  });

  it("close their side after the request: they are answered", async () => {
    const { sidecar } = all;
    const leaver = await client(sidecar);
    leaver.write("GET /work?delay=200 HTTP/1.1\r\nHost: web\r\nX-Request-Id: half\r\n\r\n");
    leaver.end();
    await leaver.receives(/^HTTP\/1.1 200 (.|\r|\n)*half 0$/);
  });
});

describe("clients that are slow", () => {
  afterEach(() => stage.close());

  it("send heads slowly or none: others are served, and they are closed by the head timeout", async () => {
    const { sidecar } = await scene(["one"], {
      listener: { timeouts: { httpRequest: "1s" }, limits: { maxConnections: 1_000 } },
    });
    const slow = await clients(100, sidecar);
    const silent = await clients(100, sidecar);
    const drip = setInterval(() => {
      for (const each of slow) each.write("a");
    }, 100);
    stage.defer(() => clearInterval(drip));
    for (const each of slow) each.write("GET /work HTTP/1.1\r\nX: ");
    const startedMs = performance.now();
    expect((await ask(sidecar.port())).status).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await Promise.all([...slow, ...silent].map((each) => each.hasStopped()));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    clearInterval(drip);
    expect((await ask(sidecar.port())).status).toBe(200);
  });
});

describe("a machine that stalls", () => {
  afterEach(() => stage.close());

  it("freezes the process for two seconds: what is in flight is answered", async () => {
    const { sidecar, backends } = await scene(["one", "two"], { pool: { timeouts: { server: "5s" } } });
    for (const backend of backends) backend.set({ delayMs: 20 });
    const load = stage.load("frozen", { port: sidecar.port(), open: 16, methods: ["GET", "POST"] });
    await load.more(200);
    sidecar.signal("SIGSTOP");
    await pause(2_000);
    const during = load.results.length;
    sidecar.signal("SIGCONT");
    await load.more(300);
    const report = await load.stop();
    expect(report.problems()).toEqual({});
    expect(report.results.length).toBeGreaterThan(during);
  });

  it("freezes it for longer than the server timeout: what was answered meanwhile still arrives", async () => {
    const { sidecar, backends } = await scene(["one"], { pool: { timeouts: { server: "600ms" } } });
    for (const backend of backends) backend.set({ delayMs: 150 });
    const load = stage.load("thawed", { port: sidecar.port(), open: 8 });
    await load.more(24);
    sidecar.signal("SIGSTOP");
    await pause(1_200);
    sidecar.signal("SIGCONT");
    await load.more(24);
    expect((await load.stop()).problems()).toEqual({});
  });
});
