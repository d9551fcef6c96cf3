import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type BackendProcess, executions } from "../../support/backend-process.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { promised, until } from "../../support/promised.js";
import { Stage, sharedConsul, show } from "./stage.js";

const consul = sharedConsul();
let stage: Stage;

afterEach(() => stage.close());

describe.skipIf(isConsulMissing())("a rolling restart of all backends", () => {
  it("under keep-alive load of GET and POST loses nothing", async () => {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two", "three");
    for (const backend of backends) {
      backend.set({ delayMs: 4 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web");
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two", "three");
    const load = stage.load("roll", { port: sidecar.port(), open: 24, methods: ["GET", "POST"] });
    await load.more(500);
    const all: BackendProcess[] = [...backends];
    for (const old of backends) {
      const [successor] = await stage.backends(`${old.id}-new`);
      if (successor === undefined) throw new Error("no backend");
      all.push(successor);
      successor.set({ delayMs: 4 });
      await stage.deregister(old);
      await admin.gone(old.id);
      old.kill("SIGTERM");
      expect(await promised(old.ended, 5_000, "the end of a drained backend")).toBe(0);
      await stage.register("web", successor);
      await load.more(300);
    }
    await admin.settles("one-new", "three-new", "two-new");
    await load.more(500);
    const report = await load.stop();
    expect(report.problems()).toEqual({});
    const times = executions(all);
    expect(times.size).toBe(report.results.length);
    expect([...times.values()].every((count) => count === 1)).toBe(true);
    show("rolling restart", {
      requests: report.results.length,
      failed: 0,
      "p99 ms": report.latency(0.99).toFixed(1),
    });
  }, 40_000);

  it("loses nothing either where backends stop by themselves and close what is idle, GETs only", async () => {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two", "three");
    for (const backend of backends) {
      backend.set({ delayMs: 4 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web");
    const load = stage.load("close", { port: sidecar.port(), open: 24 });
    await load.more(500);
    for (const backend of backends.slice(0, 2)) {
      backend.kill("SIGTERM");
      await promised(backend.ended, 5_000, "its end");
      await load.more(300);
    }
    const report = await load.stop();
    expect(report.problems()).toEqual({});
  });
});

describe.skipIf(isConsulMissing())("a sidecar that is told to stop", () => {
  async function scene(shutdown: object) {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two");
    for (const backend of backends) await stage.register("web", backend);
    const sidecar = await stage.sidecarFor("web", { process: { consul: stage.consulConfig, shutdown } });
    return { sidecar, backends };
  }

  it("says so first, serves on for its grace, finishes what is open and ends with 0", async () => {
    const { sidecar, backends } = await scene({ grace: "1s", deadline: "10s" });
    for (const backend of backends) backend.set({ delayMs: 5 });
    const load = stage.load("stop", { port: sidecar.port(), open: 16, methods: ["GET", "POST"] });
    const idle = await idleClient(sidecar.port());
    await load.more(300);
    const slow = ask(sidecar.port(), "/work?delay=2500");
    await load.more(50);

    const toldMs = performance.now();
    sidecar.signal("SIGTERM");
    await until(async () => (await sidecar.readiness()) === 503, 900, "not ready");
    // Within the grace new connections are served as ever.
    expect((await ask(sidecar.port())).status).toBe(200);
    const during = load.results.length;
    await load.more(50);
    expect(load.results.slice(during).every(({ status }) => status === 200)).toBe(true);
    // Who keeps asking is shown the door: his connection is closed with an answer, a new one is refused.
    await until(() => load.results.at(-1)?.problem.includes("ECONNREFUSED") === true, 10_000, "closed doors");
    const report = await load.stop();
    expect((await slow).status).toBe(200);
    const code = await sidecar.end(10_000);
    const tookMs = performance.now() - toldMs;
    expect(code).toBe(0);
    expect(sidecar.complaints).toBe("");
    expect(tookMs).toBeGreaterThan(2_000);
    expect(tookMs).toBeLessThan(6_000);
    const lost = report.failed.filter(({ problem }) => !problem.includes("ECONNREFUSED"));
    expect(lost).toEqual([]);
    expect(idle.destroyed || idle.readableEnded).toBe(true);
    show("stop under load", { "ms until its end": tookMs.toFixed(0), lost: lost.length });
  }, 30_000);

  it("answers everyone it let in, also those who bring a new connection for each request", async () => {
    const { sidecar } = await scene({ grace: "0s", deadline: "10s" });
    const load = stage.load("fresh", { port: sidecar.port(), open: 16, isFresh: true });
    await load.more(300);
    sidecar.signal("SIGTERM");
    expect(await sidecar.end(10_000)).toBe(0);
    const report = await load.stop();
    // The system resets what it had queued for a listening socket that closes: such a request was never read.
    const lost = report.failed.filter(({ problem }) => !/ECONNREFUSED|ECONNRESET/.test(problem));
    expect(lost).toEqual([]);
    const reset = report.failed.filter(({ problem }) => problem.includes("ECONNRESET"));
    show("stop under new connections", { "reset by the system": reset.length });
    expect(reset.length).toBeLessThanOrEqual(16);
  });

  it("cuts what is still open at the deadline and ends with 0 all the same", async () => {
    const { sidecar } = await scene({ grace: "0s", deadline: "500ms" });
    const hanging = ask(sidecar.port(), "/hang").then(
      ({ status }) => status,
      () => "cut",
    );
    const admin = stage.admin(sidecar);
    await until(
      async () => (await admin.backends()).some(({ inFlight }) => inFlight === 1),
      5_000,
      "the open request",
    );
    const toldMs = performance.now();
    sidecar.signal("SIGTERM");
    expect(await sidecar.end()).toBe(0);
    expect(performance.now() - toldMs).toBeLessThan(3_000);
    expect([503, "cut"]).toContain(await hanging);
  });

  it("ends at once when it is told again", async () => {
    const { sidecar } = await scene({ grace: "30s", deadline: "30s" });
    const hanging = ask(sidecar.port(), "/hang").catch(() => undefined);
    sidecar.signal("SIGTERM");
    await until(async () => (await sidecar.readiness()) === 503, 5_000, "not ready");
    const toldMs = performance.now();
    sidecar.signal("SIGTERM");
    expect(await sidecar.end()).toBe(1);
    expect(performance.now() - toldMs).toBeLessThan(2_000);
    await hanging;
  });

  it("ends at once, and well, while it still waits for its first list", async () => {
    stage = await Stage.open();
    const sidecar = await stage.launch({
      startDeadline: "60s",
      shutdown: { grace: "0s", deadline: "1s" },
      // Nobody listens on port 1.
      consul: { address: "http://127.0.0.1:1" },
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [{ name: "web", discovery: { type: "consul", service: "web" } }],
    });
    await sidecar.line(({ msg }) => msg === "admin http listening");
    sidecar.signal("SIGTERM");
    expect(await sidecar.end(5_000)).toBe(0);
  });
});

/** A connection that was used once and waits. */
async function idleClient(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  socket.write("GET /work HTTP/1.1\r\nHost: web\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.resume();
  stage.defer(() => socket.destroy());
  return socket;
}
