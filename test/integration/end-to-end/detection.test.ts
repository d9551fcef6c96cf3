import { afterEach, describe, expect, it } from "vitest";
import { callAdmin } from "../../support/admin-client.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { until } from "../../support/promised.js";
import type { Sidecar } from "../../support/sidecar.js";
import { Stage } from "./stage.js";

let stage: Stage;

interface Scene {
  readonly backends: readonly BackendProcess[];
  readonly sidecar: Sidecar;
  /** What the API says of the first backend. */
  readonly first: () => Promise<Listed>;
}

interface Listed {
  readonly eligible?: boolean;
  readonly reasons?: readonly string[];
  readonly detection?: { readonly cause?: string };
  readonly weight: {
    readonly inForce: number;
    readonly slowStart?: { readonly share: number; readonly until: string };
    readonly demotion?: { readonly share: number; readonly why: string };
  };
}

/** Three backends named by the configuration, weight 16 each, the first of which will go wrong. */
async function scene(pool: object): Promise<Scene> {
  stage = await Stage.open();
  const backends = await stage.backends("one", "two", "three");
  const endpoints = backends.map(({ id, port }) => ({ id, address: `127.0.0.1:${port}`, weight: 16 }));
  const sidecar = await stage.sidecar({
    listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
    pools: [{ name: "web", discovery: { type: "static", endpoints }, ...pool }],
  });
  const first = async (): Promise<Listed> => {
    const { backends: listed } = (await callAdmin(sidecar.grpc, "ListBackends", {
      pool: "web",
      backend: "one",
    })) as unknown as { readonly backends: readonly Listed[] };
    const [one] = listed;
    if (one === undefined) throw new Error("the first backend is not listed");
    return one;
  };
  return { backends, sidecar, first };
}

describe("detection over real sockets", () => {
  afterEach(() => stage.close());

  it("ejects a backend whose gRPC answers say UNAVAILABLE with a status of 200", async () => {
    const { backends, sidecar, first } = await scene({});
    backends[0]?.set({ grpcStatus: "14" });
    const load = stage.load("grpc", { port: sidecar.port(), open: 4 });
    await until(async () => (await first()).eligible !== true, 5_000, "the ejection");
    expect((await first()).detection?.cause).toBe("consecutive-5xx");
    expect((await first()).reasons?.join()).toBe("ejected (consecutive-5xx)");
    await load.stop();
    expect(await sidecar.metric("pilotfish_invariants_broken_total")).toBe(0);
  });

  it("takes weight from a backend that got slow, says why, and gives it back", async () => {
    const { backends, sidecar, first } = await scene({
      outlierDetection: { latency: { interval: "200ms", requestVolume: 10 } },
    });
    const load = stage.load("slow", { port: sidecar.port(), open: 8 });
    await load.more(200);
    backends[0]?.set({ delayMs: 120 });
    await until(async () => (await first()).weight.demotion !== undefined, 10_000, "the demotion");
    const { weight, eligible } = await first();
    expect(eligible).toBe(true);
    expect(weight.inForce).toBeLessThan(16);
    expect(weight.demotion?.why).toMatch(/^slow: p90 1\d\d ms, the others \d+(\.\d)? ms$/);
    backends[0]?.set({ delayMs: 0 });
    await until(async () => (await first()).weight.inForce === 16, 15_000, "the full weight");
    const report = await load.stop();
    expect(report.failed).toEqual([]);
  });

  it("tries out what it ejected by requests that may be sent twice, at no client's cost", async () => {
    const { backends, sidecar } = await scene({
      healthCheck: "off",
      outlierDetection: { consecutive5xx: 3, baseEjectionTime: "20ms", maxEjectionTime: "20ms" },
      retries: { on: [500], backoff: { base: "1ms", max: "1ms" } },
    });
    const load = stage.load("witness", { port: sidecar.port(), open: 6, methods: ["GET", "POST"] });
    await load.more(200);
    backends[0]?.set({ status: 500 });
    const ejections = () => sidecar.metric("pilotfish_pool_ejections_by_cause_total", 'kind="enforced"');
    await until(async () => (await ejections()) >= 12, 10_000, "ejections again and again");
    const report = await load.stop();
    const failed = report.failed.map(({ method }) => method);
    expect(failed).not.toContain("GET");
    // What was under way when the first three failed, and no more for eleven returns that came too early.
    expect(failed.length).toBeLessThanOrEqual(3 + 6);
  });

  it("brings a backend back step by step after its ejection", async () => {
    const { backends, sidecar, first } = await scene({
      slowStart: "3s",
      outlierDetection: { consecutive5xx: 3, baseEjectionTime: "300ms", interval: "10s" },
    });
    const load = stage.load("ramp", { port: sidecar.port(), open: 4 });
    backends[0]?.set({ status: 500 });
    await until(async () => (await first()).eligible !== true, 5_000, "the ejection");
    backends[0]?.set({ status: 200 });
    await until(
      async () => {
        const { eligible, weight } = await first();
        // Out of the pool it may still show the ramp of its joining.
        return eligible === true && weight.slowStart !== undefined;
      },
      5_000,
      "the ramp",
    );
    const seen = new Set<number>();
    await until(
      async () => {
        const { weight } = await first();
        seen.add(weight.inForce);
        return weight.inForce === 16;
      },
      10_000,
      "the full weight",
    );
    // Whole sixteenths of 16, growing.
    expect(seen.size).toBeGreaterThan(4);
    expect([...seen]).toEqual([...seen].sort((a, b) => a - b));
    await load.stop();
  });
});
