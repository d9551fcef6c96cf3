import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { renderMetrics } from "../../../src/admin/metrics.js";
import { ADAPTIVE_LIMIT } from "../../support/adaptive-limit.js";
import { ManualClock } from "../../support/manual-clock.js";
import { backendOf, endpointOf, poolOf, Scene } from "./scene.js";

function sceneOf() {
  const scene = new Scene({ clock: new ManualClock() });
  const web = scene.add(poolOf("web"), [endpointOf("a", 1), endpointOf("b", 2)]);
  return { scene, web };
}

function render(scene: Scene): string {
  return [...renderMetrics(scene)].join("");
}

/** The value of the one sample whose name and labels begin and contain what is given. */
function sample(text: string, name: string, ...labels: readonly string[]): number {
  const lines = text
    .split("\n")
    .filter((line) => /^\w+/.exec(line)?.[0] === name && labels.every((label) => line.includes(label)));
  expect(lines, `${name} ${labels.join(" ")}`).toHaveLength(1);
  return Number(lines[0]?.split(" ").at(-1));
}

describe("renderMetrics", () => {
  it("writes valid text: each family once, with help and type, no sample twice", () => {
    const { scene } = sceneOf();
    const lines = render(scene).trimEnd().split("\n");
    const samples = lines.filter((line) => !line.startsWith("#"));
    for (const line of samples) {
      expect(line).toMatch(/^[a-z_]+[a-z0-9_]*(\{([a-z_]+="(\\.|[^"\\])*",?)+\})? [0-9.e+-]+$/);
    }
    const ids = samples.map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(new Set(ids).size).toBe(ids.length);
    const types = lines.filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" "));
    expect(new Set(types.map(([, , name]) => name)).size).toBe(types.length);
    for (const [, , name, type] of types) expect(name?.endsWith("_total")).toBe(type === "counter");
    const families = new Set(types.map(([, , name]) => name));
    for (const line of samples) expect(families).toContain(/^\w+/.exec(line)?.[0]);
  });

  it("tells two sources of one pool apart that watch the same", () => {
    const { scene } = sceneOf();
    const [first] = scene.discovery("web");
    if (first === undefined) throw new Error("no source");
    scene.discovery = () => [first, { ...first, state: "suspect", held: 3, suspicions: 2, isSaved: true }];
    const text = render(scene);
    const of = (name: string, source: number) =>
      sample(text, `pilotfish_discovery_${name}`, `source="${source}"`);
    expect([of("suspect", 0), of("held_endpoints", 0), of("suspicions_total", 0), of("saved", 0)]).toEqual([
      0, 0, 1, 0,
    ]);
    expect([of("suspect", 1), of("held_endpoints", 1), of("suspicions_total", 1), of("saved", 1)]).toEqual([
      1, 3, 2, 1,
    ]);
  });

  it("shows who is suppressed", () => {
    const { scene, web } = sceneOf();
    web.apply(
      { endpoints: [endpointOf("a", 1, { admitted: false, suppressed: true }), endpointOf("b", 2)] },
      1,
    );
    const text = render(scene);
    expect(sample(text, "pilotfish_pool_suppressed_servers")).toBe(1);
    expect(sample(text, "pilotfish_backend_status", 'id="a"', 'state="SUPPRESSED"')).toBe(1);
    expect(sample(text, "pilotfish_backend_status", 'id="b"', 'state="SUPPRESSED"')).toBe(0);
  });

  it("shows what was counted", () => {
    const { scene, web } = sceneOf();
    const avoid = [backendOf(web, "b")];
    web.acquire(avoid, 0)?.release("server-error", 503, 1);
    web.acquire(avoid, 0)?.release("connect-failure", 0, 1);
    web.acquire(avoid, 0);
    const text = render(scene);
    expect(sample(text, "pilotfish_backend_sessions_total", 'id="a"')).toBe(3);
    expect(sample(text, "pilotfish_backend_current_sessions", 'id="a"')).toBe(1);
    expect(sample(text, "pilotfish_backend_http_responses_total", 'id="a"', 'code="5xx"')).toBe(1);
    expect(sample(text, "pilotfish_backend_connection_errors_total", 'id="a"')).toBe(1);
    expect(sample(text, "pilotfish_pool_sessions_total")).toBe(3);
    expect(sample(text, "pilotfish_pool_active_servers")).toBe(2);
    expect(sample(text, "pilotfish_discovery_up")).toBe(0);
    expect(sample(text, "pilotfish_discovery_age_seconds")).toBe(5);
    expect(sample(text, "pilotfish_listener_bytes_out_total")).toBe(5_000_000_000);
    expect(sample(text, "pilotfish_build_info", 'version="1.2.3"')).toBe(1);
  });

  it("shows what listeners let wait and refused", () => {
    const text = render(sceneOf().scene);
    expect(sample(text, "pilotfish_listener_waiting_connections")).toBe(4);
    expect(sample(text, "pilotfish_listener_limit_waiting_connections")).toBe(50);
    expect(sample(text, "pilotfish_listener_refused_total", 'reason="full"')).toBe(5);
    expect(sample(text, "pilotfish_listener_refused_total", 'reason="per-address"')).toBe(6);
  });

  it("shows who waits in the pool and who at which backend", () => {
    const scene = new Scene({ clock: new ManualClock() });
    const web = scene.add(poolOf("web", { maxQueuePerBackend: 7 }), [endpointOf("a", 1), endpointOf("b", 2)]);
    const waiter = { avoid: [], granted: () => undefined, stranded: () => undefined };
    web.enqueue(waiter, 0);
    web.enqueue({ ...waiter, bound: backendOf(web, "a") }, 0);
    web.enqueue({ ...waiter, bound: backendOf(web, "a") }, 0)?.cancel();
    const text = render(scene);
    expect(sample(text, "pilotfish_pool_current_queue")).toBe(2);
    expect(sample(text, "pilotfish_backend_current_queue", 'id="a"')).toBe(1);
    expect(sample(text, "pilotfish_backend_max_queue", 'id="a"')).toBe(2);
    expect(sample(text, "pilotfish_backend_limit_queue", 'id="a"')).toBe(7);
    expect(sample(text, "pilotfish_backend_current_queue", 'id="b"')).toBe(0);
  });

  it("shows the limit that latency grants, and nothing of it where none does", () => {
    expect(render(sceneOf().scene)).not.toContain("_adaptive_");
    const scene = new Scene({ clock: new ManualClock() });
    scene.add(poolOf("web", { adaptiveLimit: ADAPTIVE_LIMIT }), [endpointOf("a", 1)]);
    expect(sample(render(scene), "pilotfish_backend_adaptive_limit_sessions")).toBe(3);
  });

  it("shows no bound sessions of a pool that binds nobody", () => {
    expect(render(sceneOf().scene)).not.toContain("bound_sessions");
  });

  it("shows mean times and their sums only where something was timed", () => {
    const { scene, web } = sceneOf();
    web.count("timed", 4);
    web.count("responseMs", 1000);
    const text = render(scene);
    expect(sample(text, "pilotfish_pool_response_time_average_seconds")).toBe(0.25);
    expect(sample(text, "pilotfish_pool_response_time_seconds_total")).toBe(1);
    expect(text).not.toContain("pilotfish_backend_response_time_average_seconds");
  });

  it("shows one state per backend, the strongest", () => {
    const { scene, web } = sceneOf();
    const backend = backendOf(web, "a");
    const terms = { origin: "operator", owner: "", reason: "", ttlMs: undefined } as const;
    const state = () =>
      /state="(\w+)"} 1$/m.exec(
        render(scene)
          .split(/^(?=.*status.*id="a")/m)
          .slice(1)
          .join(""),
      )?.[1];
    expect(state()).toBe("UP");
    web.setWeight(backend, { kind: "weight", weight: 0 }, terms, 0);
    expect(state()).toBe("DRAIN");
    web.eject(backend, undefined, "", 0);
    expect(state()).toBe("EJECTED");
    web.setCheck(backend, "down", "", 0);
    expect(state()).toBe("DOWN");
    web.apply({ endpoints: [endpointOf("a", 1, { admitted: false }), endpointOf("b", 2)] }, 0);
    expect(state()).toBe("REFUSED");
    web.setAdmin(backend, "maint", terms, 0);
    expect(state()).toBe("MAINT");
  });

  it("never lets a counter of a pool go back when a backend leaves", () => {
    const { scene, web } = sceneOf();
    web.acquire([backendOf(web, "b")], 0)?.release("success", 200, 1);
    web.apply({ endpoints: [endpointOf("b", 2)] }, 2);
    expect(sample(render(scene), "pilotfish_pool_sessions_total")).toBe(1);
  });

  it("has every family that the alerts watch, told apart by pool where they say so", () => {
    const { scene } = sceneOf();
    const text = render(scene);
    const alerts = readFileSync(new URL("../../../deploy/prometheus/alerts.yml", import.meta.url), "utf8");
    const rules = alerts.split("- alert:").slice(1);
    expect(rules.length).toBeGreaterThan(5);
    for (const rule of rules) {
      const names = rule.match(/pilotfish_\w+/g) ?? [];
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        expect(text).toContain(`# TYPE ${name} `);
        if (rule.includes("$labels.pool")) expect(text).toContain(`\n${name}{pool="web"`);
      }
    }
  });

  it("escapes label values", () => {
    const { scene } = sceneOf();
    scene.add(poolOf('we"ird\\\n'), []);
    expect(render(scene)).toContain('pilotfish_pool_servers{pool="we\\"ird\\\\\\n"} 0');
  });
});
