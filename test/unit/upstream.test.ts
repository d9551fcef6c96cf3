import { afterEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.js";
import type { Config, PoolConfig } from "../../src/config/model.js";
import { formatProblem } from "../../src/config/problem.js";
import { CheckStarts } from "../../src/control/check-starts.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import type { UpstreamRules } from "../../src/proxy/upstream-service.js";
import { Upstream, type UpstreamParts } from "../../src/upstream.js";
import { ManualClock } from "../support/manual-clock.js";
import { silentLog } from "../support/tcp-proxy.js";

const open: Upstream[] = [];
afterEach(() => {
  for (const upstream of open.splice(0)) upstream.stop();
});

/** A file with one pool that says this besides where its backend is. */
function configWith(lines: string): Config {
  const text = `
listeners: [{ name: front, bind: "127.0.0.1:0", pool: web }]
pools:
  - name: web
    discovery: { type: static, endpoints: ["127.0.0.1:9"] }
    ${lines}
  - { name: spare, discovery: { type: static, endpoints: ["127.0.0.1:9"] } }
`;
  const result = parseConfig(text, { file: "f.yaml", env: {} });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  return result.config;
}

function poolOf(config: Config): PoolConfig {
  const [pool] = config.pools;
  if (pool === undefined) throw new Error("no pool");
  return pool;
}

function partsOf({ consul }: Config): UpstreamParts {
  const clock = new ManualClock();
  return {
    consul,
    deps: { clock, random: () => 0, resolver: { follow: () => ({ close() {} }) } as never, log: silentLog },
    probeSlots: new ProbeSlots(1),
    checkStarts: new CheckStarts(clock),
    lists: undefined,
    log: silentLog,
    onInvariantBroken: (what) => {
      throw new Error(what);
    },
  };
}

interface InForce {
  readonly pool: Partial<PoolOptions>;
  readonly rules: Partial<UpstreamRules>;
}

/** What a file says, and what is in force then. */
const TABLE: readonly (readonly [string, { readonly pool?: object; readonly rules?: object }])[] = [
  ["persist: true", { pool: { persist: true } }],
  ["allBackups: true", { pool: { tiers: { allBackups: true } } }],
  ["panicThreshold: 7", { pool: { tiers: { panicThreshold: 7 } } }],
  ["drainDeadline: 7s", { pool: { drainDeadlineMs: 7_000 } }],
  ["timeouts: { awaitBackend: 7s }", { pool: { awaitBackendMs: 7_000 } }],
  ["timeouts: { queue: 7s }", { rules: { timeouts: { queueMs: 7_000 } } }],
  ["limits: { maxQueue: 7 }", { pool: { maxQueue: 7 } }],
  ["limits: { maxQueuePerBackend: 7 }", { pool: { maxQueuePerBackend: 7 } }],
  ["limits: { maxConnectionsPerBackend: 7 }", { pool: { maxInFlightPerBackend: 7 } }],
  [
    "limits: { maxConnectionsPerBackend: 9, minConnectionsPerBackend: 7, fullConnections: 8 }",
    { pool: { growingLimit: { least: 7, fullLoad: 8 } } },
  ],
  ["limits: { retryAfter: 7s }", { rules: { retryAfterMs: 7_000 } }],
  [
    "retries: { redispatch: false }",
    { pool: { redispatch: false }, rules: { retries: { redispatch: false } } },
  ],
  ["retries: { redispatchInterval: -1 }", { rules: { retries: { redispatchInterval: -1 } } }],
  ["reuse: never", { rules: { reuse: { mode: "never" } } }],
  ["abortOnClose: false", { rules: { abortOnClose: false } }],
  ["fallback: spare", { rules: { fallback: "spare" } }],
  ["slowStart: { window: 7s }", { pool: { slowStart: { windowMs: 7_000 } } }],
];

function inForce({ service }: Upstream): InForce {
  return { pool: service.pool.options, rules: service };
}

describe("a pool's configuration", () => {
  it.each(TABLE)("%s is in force from the start, and after a reload", (lines, expected) => {
    const config = configWith(lines);
    const begun = new Upstream(poolOf(config), partsOf(config));
    const plain = configWith("");
    const reloaded = new Upstream(poolOf(plain), partsOf(plain));
    open.push(begun, reloaded);
    expect(inForce(begun)).toMatchObject(expected);
    expect(inForce(reloaded)).not.toMatchObject(expected);
    reloaded.reconfigure(poolOf(config), partsOf(config), false);
    expect(inForce(reloaded)).toMatchObject(expected);
  });

  it("says what keeps its clients, also once a reload does", () => {
    const config = configWith("affinity: { type: table, on: source, size: 10, expire: 1m }");
    const plain = configWith("");
    const upstream = new Upstream(poolOf(plain), partsOf(plain));
    open.push(upstream);
    expect(upstream.service.affinity).toBeUndefined();
    upstream.reconfigure(poolOf(config), partsOf(config), false);
    const { table } = upstream.service.affinity ?? {};
    expect(table).toBeDefined();
    upstream.reconfigure({ ...poolOf(config), persist: true }, partsOf(config), false);
    expect(upstream.service.affinity?.table).toBe(table);
  });
});
