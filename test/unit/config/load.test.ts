// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what the file substitutes is written so.
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Environment } from "../../../src/config/environment.js";
import { type ConfigOverrides, loadConfig, parseConfig } from "../../../src/config/load.js";
import type { Config } from "../../../src/config/model.js";
import { formatProblem } from "../../../src/config/problem.js";
import { retryConfig } from "../../support/retry-config.js";

const MINIMAL = `
listeners: [{ name: front, bind: ":8080", pool: web }]
pools: [{ name: web, discovery: { type: consul, service: web } }]
`;

function read(text: string, env: Environment = {}, overrides: ConfigOverrides = {}): Config {
  const result = parseConfig(text, { file: "f.yaml", env, overrides });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  return result.config;
}

function problemsOf(text: string, env: Environment = {}, overrides: ConfigOverrides = {}): readonly string[] {
  const result = parseConfig(text, { file: "f.yaml", env, overrides });
  return result.ok ? [] : result.problems.map(formatProblem);
}

function warningsOf(text: string): readonly string[] {
  const result = parseConfig(text, { file: "f.yaml", env: {} });
  return result.ok ? result.warnings.map(({ path, message }) => `${path}: ${message}`) : ["not good"];
}

describe("a minimal file", () => {
  it("gets every default", () => {
    expect(read(MINIMAL)).toEqual({
      log: { level: "info", access: { format: "json", to: { kind: "stdout" } } },
      stateDir: undefined,
      maxConnections: 10_000,
      maxChecks: 256,
      shutdown: { graceMs: 2_000, deadlineMs: 30_000 },
      trustedNetworks: [],
      startDeadlineMs: 10_000,
      consul: {
        address: "http://127.0.0.1:8500",
        token: undefined,
        tokenFile: undefined,
        datacenter: undefined,
        namespace: undefined,
        partition: undefined,
        tls: {
          caFile: undefined,
          certFile: undefined,
          keyFile: undefined,
          serverName: undefined,
          verify: true,
        },
        auth: undefined,
        waitMs: 60_000,
        emptyGraceMs: 10_000,
        coalesceMs: 50,
      },
      admin: {
        grpc: {
          address: { kind: "tcp", host: "127.0.0.1", port: 7070 },
          tls: undefined,
          tokenFile: undefined,
          insecure: false,
        },
        http: { kind: "tcp", host: "127.0.0.1", port: 7080 },
        probe: undefined,
      },
      listeners: [
        {
          name: "front",
          bind: [{ kind: "tcp", host: "::", port: 8080 }],
          protocol: "http",
          direction: "outbound",
          timeouts: { clientMs: 30_000, httpRequestMs: 10_000, httpKeepAliveMs: 60_000 },
          limits: {
            maxConnections: 4_096,
            maxWaiting: 4096,
            backlog: 4096,
            maxConnectionsPerAddress: 0,
            maxHeadBytes: 16_384,
            maxHeaders: 128,
            maxBodyBytes: 0,
          },
          allowConnect: false,
          pool: "web",
          priority: undefined,
          routes: [],
        },
      ],
      pools: [
        {
          name: "web",
          discovery: [
            {
              type: "consul",
              subject: { kind: "service", name: "web" },
              tags: [],
              minStatus: "warning",
              datacenter: undefined,
              priority: 0,
              namespace: undefined,
              partition: undefined,
              filter: undefined,
              near: undefined,
              taggedAddress: undefined,
              zoneKey: "zone",
              resolve: "all",
            },
          ],
          suspicion: { removedPercent: 100, holdMs: 60_000, evidenceMs: 10_000 },
          flapDamping: {
            halfLifeMs: 60_000,
            suppress: 2_500,
            reuse: 750,
            maxSuppressMs: 300_000,
            maxSuppressedPercent: 50,
          },
          savedList: { maxAgeMs: 86_400_000 },
          balance: { algorithm: "leastconn", idle: "weighted" },
          timeouts: {
            connectMs: 5_000,
            serverMs: 30_000,
            queueMs: 5_000,
            awaitBackendMs: 0,
            tunnelMs: 3_600_000,
            requestTotalMs: 0,
            upstreamIdleMs: 60_000,
          },
          retries: retryConfig(),
          reuse: { mode: "safe", safeForMs: 1_000 },
          healthCheck: undefined,
          agentCheck: undefined,
          outlierDetection: {
            consecutive5xx: 5,
            consecutiveGatewayFailure: 0,
            consecutiveConnectFailure: 5,
            splitExternalLocalOriginErrors: false,
            consecutiveLocalOriginFailure: 5,
            successRateMinimumHosts: 5,
            successRateRequestVolume: 100,
            successRateStdevFactor: 1_900,
            failurePercentageThreshold: 85,
            failurePercentageMinimumHosts: 2,
            failurePercentageRequestVolume: 50,
            enforcing: {
              "consecutive-5xx": 100,
              "consecutive-gateway-failure": 100,
              "consecutive-connect-failure": 100,
              "consecutive-local-origin-failure": 100,
              "success-rate": 100,
              "success-rate-local-origin": 100,
              "failure-percentage": 100,
              "failure-percentage-local-origin": 100,
            },
            intervalMs: 10_000,
            baseEjectionTimeMs: 30_000,
            maxEjectionTimeMs: 300_000,
            maxEjectionTimeJitterMs: 0,
            maxEjectionPercent: 50,
            minHealthyBackends: 1,
            probation: 1,
            successfulActiveHealthCheckUneject: true,
            latency: {
              percentile: 90,
              factor: 3,
              deviations: 3,
              minDifferenceMs: 25,
              requestVolume: 30,
              minWeightPercent: 10,
              intervalMs: 1_000,
            },
          },
          limits: {
            ...{ maxConnectionsPerBackend: 0, maxRequestsPerBackend: 0, maxQueue: 1_000 },
            maxQueuePerBackend: 0,
            ...{
              minConnectionsPerBackend: 0,
              fullConnections: 409,
              retryAfterMs: 1_000,
              adaptive: undefined,
            },
          },
          allBackups: false,
          panicThreshold: 50,
          zone: undefined,
          persist: false,
          abortOnClose: true,
          fallback: undefined,
          drainDeadlineMs: 30_000,
        },
      ],
    });
  });

  it("comes out frozen to the last leaf", () => {
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      for (const inner of Object.values(value)) visit(inner);
    };
    visit(read(MINIMAL));
  });
});

const TARGET = { address: undefined, port: undefined, jitterPercent: 5 };
const CHECKED = {
  intervalMs: 2_000,
  fastIntervalMs: 2_000,
  downIntervalMs: 2_000,
  provenIntervalMs: 2_000,
  demandPercent: 0,
  fall: 3,
  rise: 2,
  initialState: "up",
  disableOn404: false,
  observe: undefined,
  isCutWhenDown: false,
  areBackupsCutWhenUp: false,
  verdict: "both",
};

describe("a pool", () => {
  const pool = (text: string, defaults = "{}") =>
    read(`
defaults: { pool: ${defaults} }
listeners: [{ name: front, bind: ":8080", pool: web }]
pools: [{ name: web, discovery: { type: static, endpoints: ["a:1"] }, ${text} }]`).pools[0];

  it.each([
    ["balance: roundrobin", { algorithm: "roundrobin" }],
    ["balance: random", { algorithm: "random", draws: 2 }],
    ["balance: { algorithm: random, draws: 3 }", { algorithm: "random", draws: 3 }],
    ["balance: { algorithm: leastconn, idle: haproxy }", { algorithm: "leastconn", idle: "haproxy" }],
  ])("with %s balances so", (text, balance) => {
    expect(pool(text)?.balance).toEqual(balance);
  });

  it("prefers a zone that the environment names, by the terms of the defaults", () => {
    const text = `
defaults: { pool: { zone: { own: "\${ZONE}", minPercent: 70 } } }
listeners: [{ name: front, bind: ":8080", pool: web }]
pools: [{ name: web, discovery: { type: file, path: e }, zone: { spillFactor: 0 } }]`;
    const [web] = read(text, { ZONE: "eu-1a" }).pools;
    expect(web?.zone).toEqual({ own: "eu-1a", minPercent: 70, minBackends: 6, spillFactor: 0 });
    expect(problemsOf(text, {}).join()).toContain("the environment variable ZONE is not set");
  });

  it.each([
    ["agentCheck: off", undefined],
    ["healthCheck: { type: tcp }", undefined],
    [
      "agentCheck: { port: 9, send: 'hello', jitter: 0 }",
      {
        intervalMs: 2_000,
        target: { ...TARGET, port: 9, timeoutMs: 1_000, jitterPercent: 0 },
        send: "hello",
      },
    ],
    [
      "healthCheck: { type: agent, port: 9, interval: 500ms }",
      { intervalMs: 500, target: { ...TARGET, port: 9, timeoutMs: 500 }, send: "" },
    ],
  ])("with %s asks its agents so", (text, agentCheck) => {
    expect(pool(text)?.agentCheck).toEqual(agentCheck);
  });

  it.each([
    ["healthCheck: off", undefined],
    [
      "healthCheck: { type: tcp }",
      { type: "tcp", ...CHECKED, target: { ...TARGET, timeoutMs: 1_000 }, timeoutMs: 1_000 },
    ],
    [
      "healthCheck: { type: tcp, interval: 500ms, fastInterval: 100ms, observe: layer4, verdict: own }",
      {
        type: "tcp",
        ...CHECKED,
        intervalMs: 500,
        fastIntervalMs: 100,
        downIntervalMs: 500,
        provenIntervalMs: 500,
        timeoutMs: 500,
        target: { ...TARGET, timeoutMs: 500 },
        observe: { layer: "layer4", errorLimit: 10, onError: "fail-check" },
        verdict: "own",
      },
    ],
    [
      "healthCheck: { type: http, timeout: 2s, expectStatus: '200-299,304', tls: on, disableOn404: true }",
      {
        type: "http",
        ...CHECKED,
        method: "GET",
        path: "/",
        host: undefined,
        headers: {},
        body: undefined,
        expectStatus: [
          { from: 200, to: 299 },
          { from: 304, to: 304 },
        ],
        expectBody: undefined,
        tls: { serverName: undefined, verify: true },
        disableOn404: true,
        timeoutMs: 2_000,
        target: { ...TARGET, timeoutMs: 2_000 },
      },
    ],
    [
      "healthCheck: { type: grpc, service: web, timeout: 1s, tls: { verify: false } }",
      {
        type: "grpc",
        ...CHECKED,
        service: "web",
        tls: { serverName: undefined, verify: false, caFile: undefined },
        timeoutMs: 1_000,
        target: { ...TARGET, timeoutMs: 1_000 },
      },
    ],
    [
      "healthCheck: { type: tls, serverName: web.local, ca: /etc/ca.pem, port: 444, onMarkedDown: shutdown-sessions }",
      {
        type: "tls",
        ...CHECKED,
        tls: { serverName: "web.local", verify: true, caFile: "/etc/ca.pem" },
        isCutWhenDown: true,
        timeoutMs: 1_000,
        target: { ...TARGET, port: 444, timeoutMs: 1_000 },
      },
    ],
    ["healthCheck: { type: agent, port: 9 }", undefined],
  ])("with %s is checked so", (text, healthCheck) => {
    expect(pool(text)?.healthCheck).toEqual(healthCheck);
  });

  it.each(["off", "false"])("with outlierDetection: %s ejects nothing", (word) => {
    expect(pool(`outlierDetection: ${word}`)?.outlierDetection).toBeUndefined();
  });

  it("has a longest ejection that is no shorter than the first one", () => {
    expect(pool("outlierDetection: { baseEjectionTime: 400s }")?.outlierDetection?.maxEjectionTimeMs).toBe(
      400_000,
    );
  });

  it("merges maps of the defaults and replaces everything else", () => {
    const result = pool(
      "timeouts: { server: 1s }",
      "{ timeouts: { server: 9s, connect: 2s }, balance: random }",
    );
    expect(result?.timeouts).toMatchObject({ serverMs: 1_000, connectMs: 2_000, queueMs: 5_000 });
    expect(result?.balance).toEqual({ algorithm: "random", draws: 2 });
  });

  it("takes nothing from a default of another kind", () => {
    expect(
      pool("healthCheck: { type: tcp }", "{ healthCheck: { type: http, path: /x } }")?.healthCheck?.type,
    ).toBe("tcp");
  });

  it("completes a health check from the defaults", () => {
    const healthCheck = pool(
      "healthCheck: { fall: 9 }",
      "{ healthCheck: { type: http, path: /x } }",
    )?.healthCheck;
    expect(healthCheck).toMatchObject({ type: "http", path: "/x", fall: 9 });
  });

  it.each([
    ["enforcingConsecutive5xx", "consecutive-5xx"],
    ["enforcingConsecutiveGatewayFailure", "consecutive-gateway-failure"],
    ["enforcingConsecutiveConnectFailure", "consecutive-connect-failure"],
    ["enforcingConsecutiveLocalOriginFailure", "consecutive-local-origin-failure"],
    ["enforcingSuccessRate", "success-rate"],
    ["enforcingLocalOriginSuccessRate", "success-rate-local-origin"],
    ["enforcingFailurePercentage", "failure-percentage"],
    ["enforcingFailurePercentageLocalOrigin", "failure-percentage-local-origin"],
  ] as const)("takes %s for the chance of %s", (key, cause) => {
    const enforcing = pool(`outlierDetection: { ${key}: 7 }`)?.outlierDetection?.enforcing;
    expect(Object.entries(enforcing ?? {}).filter(([, percent]) => percent === 7)).toEqual([[cause, 7]]);
  });

  it.each([
    ["outlierDetection: { latency: off }", "", undefined],
    ["outlierDetection: { latency: on }", "{ outlierDetection: { latency: { factor: 7 } } }", 7],
    ["outlierDetection: { latency: { percentile: 95 } }", "", 3],
    ["outlierDetection: {}", "{ outlierDetection: { latency: off } }", undefined],
  ])("with %s over %s compares latency by factor %j", (text, defaults, factor) => {
    const detection = pool(text, defaults === "" ? undefined : defaults)?.outlierDetection;
    expect(detection?.latency?.factor).toBe(factor);
  });

  it("takes the defaults' thresholds when it only says on", () => {
    const detection = pool(
      "outlierDetection: on",
      "{ outlierDetection: { consecutive5xx: 9 } }",
    )?.outlierDetection;
    expect(detection?.consecutive5xx).toBe(9);
  });

  it.each([
    ["slowStart: 30s", { windowMs: 30_000, aggression: 1, minPercent: 0 }],
    ["slowStart: { window: 1m }", { windowMs: 60_000, aggression: 1, minPercent: 0 }],
    [
      'slowStart: { window: 1m, aggression: "1.5", minPercent: 10 }',
      { windowMs: 60_000, aggression: 1.5, minPercent: 10 },
    ],
    ["slowStart: off", undefined],
    ["slowStart: 0s", undefined],
    ["drainDeadline: 1s", undefined],
  ])("with %s ramps by %j", (text, slowStart) => {
    expect(pool(text)?.slowStart).toEqual(slowStart);
    if (text.includes("off")) expect(pool(text, "{ slowStart: 10s }")?.slowStart).toBeUndefined();
  });

  it("reads static endpoints in both forms", () => {
    const { pools } = read(`
listeners: [{ name: front, bind: ":8080", pool: web }]
pools:
  - name: web
    discovery:
      type: static
      endpoints: ["10.0.0.2:80", { address: "[::1]:81", id: a, weight: 0, backup: true, tags: [x], meta: { zone: b } }]`);
    expect(pools[0]?.discovery[0]).toEqual({
      type: "static",
      resolve: "all",
      endpoints: [
        {
          id: undefined,
          host: "10.0.0.2",
          port: 80,
          weight: 1,
          priority: 0,
          backup: false,
          tags: [],
          meta: {},
        },
        {
          ...{ id: "a", host: "::1", port: 81, weight: 0, priority: 0, backup: true },
          ...{ tags: ["x"], meta: { zone: "b" } },
        },
      ],
    });
  });
});

describe("outlier detection of a pool that says nothing of it", () => {
  const isOn = (listeners: string) =>
    read(`
listeners: [${listeners}]
pools: [{ name: web, discovery: { type: file, path: e } }, { name: api, discovery: { type: file, path: e } }]`)
      .pools[0]?.outlierDetection !== undefined;

  it.each([
    ["{ name: a, bind: ':1', pool: web }", true],
    ["{ name: a, bind: ':1', pool: web, direction: inbound }", false],
    [
      "{ name: a, bind: ':1', direction: inbound, routes: [{ pools: [{ pool: api }, { pool: web }] }] }",
      false,
    ],
    ["{ name: a, bind: ':1', pool: web, direction: inbound }, { name: b, bind: ':2', pool: web }", true],
    ["{ name: a, bind: ':1', pool: api, direction: inbound }", true],
  ])("with the listeners %s is on: %s", (listeners, on) => {
    expect(isOn(listeners)).toBe(on);
  });
});

describe("a listener", () => {
  it("reads every form of bind", () => {
    const { listeners } = read(`
listeners:
  - name: front
    bind: ["127.0.0.1:60000-60001", { address: "unix:/run/a.sock", mode: "0660" }, "[::1]:1", { address: "fd:3" }]
  - { name: back, bind: { address: "127.0.0.1:0" } }
  - { name: side, bind: "127.0.0.1:0" }`);
    expect(listeners.map(({ bind }) => bind)).toEqual([
      [
        { kind: "tcp", host: "127.0.0.1", port: 60_000 },
        { kind: "tcp", host: "127.0.0.1", port: 60_001 },
        { kind: "unix", path: "/run/a.sock", mode: 0o660 },
        { kind: "tcp", host: "::1", port: 1 },
        { kind: "fd", fd: 3 },
      ],
      [{ kind: "tcp", host: "127.0.0.1", port: 0 }],
      [{ kind: "tcp", host: "127.0.0.1", port: 0 }],
    ]);
  });

  it("folds what is matched without regard to case", () => {
    const { listeners } = read(`
listeners:
  - name: front
    bind: ":1"
    routes:
      - match: { host: "*.API.Local", pathPrefix: /v1/, method: GET, headers: { X-Canary: "Yes" } }
        pools: [{ pool: web, weight: 90 }, { pool: web }]
        timeouts: { requestTotal: 2s, server: 0s }
        retries: { max: 0 }
      - { match: { path: /A/ }, pool: web }
pools: [{ name: web, discovery: { type: file, path: e } }]`);
    expect(listeners[0]?.routes).toEqual([
      {
        match: {
          host: "*.api.local",
          path: undefined,
          pathPrefix: "/v1",
          method: "GET",
          headers: [{ name: "x-canary", value: "Yes" }],
        },
        pools: [
          { pool: "web", weight: 90 },
          { pool: "web", weight: 1 },
        ],
        timeouts: { requestTotalMs: 2_000, serverMs: 0 },
        retries: { max: 0, perTryMs: undefined, on: undefined },
      },
      {
        match: { host: undefined, path: "/A/", pathPrefix: undefined, method: undefined, headers: [] },
        pools: [{ pool: "web", weight: 1 }],
        timeouts: { requestTotalMs: undefined, serverMs: undefined },
        retries: { max: undefined, perTryMs: undefined, on: undefined },
      },
    ]);
  });
});

describe("two sockets at one place", () => {
  const clash = (...binds: readonly string[]) =>
    problemsOf(
      `listeners:\n${binds.map((bind, index) => `  - { name: l${index}, bind: "${bind}", pool: web }`).join("\n")}
pools: [{ name: web, discovery: { type: file, path: e } }]`,
    ).length;

  it.each([
    [["127.0.0.1:1", "127.0.0.1:1"], 1],
    [["127.0.0.1:1-3", "127.0.0.1:3-4"], 1],
    [[":1", "127.0.0.1:1"], 1],
    [["0.0.0.0:1", "127.0.0.1:1"], 1],
    [["0.0.0.0:1", "[::1]:1"], 0],
    [["127.0.0.1:7080", ":7070"], 2],
    [["unix:/a", "unix:/a"], 1],
    [["fd:3", "fd:3"], 1],
    [["127.0.0.1:1", "127.0.0.2:1"], 0],
    [["127.0.0.1:0", "127.0.0.1:0"], 0],
    [["unix:/a", "unix:/b"], 0],
  ])("%j: %d problems", (binds, count) => {
    expect(clash(...binds)).toBe(count);
  });
});

describe("the admin addresses", () => {
  const admin = (text: string) => read(`${MINIMAL}\nadmin: ${text}`).admin;

  it("can be switched off", () => {
    expect(admin("{ grpc: off, http: false, probe: off }")).toEqual({
      grpc: undefined,
      http: undefined,
      probe: undefined,
    });
  });

  it("can be unix sockets", () => {
    expect(admin('{ http: "unix:/run/a.sock" }').http).toEqual({
      kind: "unix",
      path: "/run/a.sock",
      mode: undefined,
    });
  });

  it("can be reached from outside with TLS and a token, or on demand", () => {
    const guarded = admin(
      '{ grpc: { address: ":7070", tls: { cert: c, key: k, clientCa: ca }, tokenFile: t } }',
    ).grpc;
    expect(guarded).toMatchObject({
      tls: { certFile: "c", keyFile: "k", clientCaFile: "ca" },
      tokenFile: "t",
      insecure: false,
    });
    expect(admin('{ grpc: { address: ":7070", insecure: true } }').grpc?.insecure).toBe(true);
    expect(admin('{ http: { address: ":7080", insecure: true } }').http).toEqual({
      kind: "tcp",
      host: "::",
      port: 7080,
    });
  });

  it("may be exposed for the probe", () => {
    expect(admin("{ probe: 0.0.0.0:7081 }").probe).toEqual({ kind: "tcp", host: "0.0.0.0", port: 7081 });
  });
});

describe("the environment in the file", () => {
  it("fills in strings, numbers, switches and addresses", () => {
    const env = { PORT: "81", MAX: "7", LEVEL: "debug", REDISPATCH: "false", WAIT: "3s" };
    const config = read(
      `
log: { level: "\${LEVEL}" }
limits: { maxConnections: "\${MAX}" }
startDeadline: \${WAIT}
listeners: [{ name: front, bind: "127.0.0.1:\${PORT}", pool: web }]
pools: [{ name: web, discovery: { type: file, path: "$\${a}" }, retries: { redispatch: "\${REDISPATCH}" } }]`,
      env,
    );
    expect(config).toMatchObject({
      log: { level: "debug" },
      maxConnections: 7,
      startDeadlineMs: 3_000,
      listeners: [{ bind: [{ port: 81 }] }],
      pools: [{ discovery: [{ path: "${a}" }], retries: { redispatch: false } }],
    });
  });

  it("cannot add YAML", () => {
    const text = "listeners: [{ name: front, bind: ':1' }]\nlog: { access: { to: '${TO}' } }";
    expect(read(text, { TO: "file:a, level: debug }\nx: [" }).log.access.to).toEqual({
      kind: "file",
      path: "a, level: debug }\nx: [",
    });
  });

  it("is named when it lacks a variable, once, with the line", () => {
    expect(problemsOf("listeners:\n  - { name: a, bind: '${WHERE}' }")).toEqual([
      "f.yaml:2:22 listeners[0].bind: the environment variable WHERE is not set\n" +
        "    2 |   - { name: a, bind: '${WHERE}' }\n" +
        "      |                      ^",
    ]);
  });

  it("is named when it gives a bad value", () => {
    expect(
      problemsOf("listeners: [{ name: a, bind: ':1' }]\nstartDeadline: ${WAIT}", { WAIT: "soon" })[0],
    ).toContain('found "soon" (from ${WAIT}), expected a duration');
  });
});

describe("the command line", () => {
  it("wins over the file", () => {
    const config = read(
      `${MINIMAL}\nlog: { level: warn }\nadmin: { grpc: "127.0.0.1:1" }`,
      {},
      {
        logLevel: "debug",
        adminGrpc: "unix:/a",
        adminHttp: "off",
      },
    );
    expect(config.log.level).toBe("debug");
    expect(config.admin).toMatchObject({ grpc: { address: { kind: "unix", path: "/a" } }, http: undefined });
  });

  it("replaces the address alone where the file has TLS and a token", () => {
    const text = `${MINIMAL}\nadmin: { grpc: { address: "127.0.0.1:1", tls: { cert: c, key: k }, tokenFile: t } }`;
    expect(read(text, {}, { adminGrpc: "0.0.0.0:2" }).admin.grpc).toMatchObject({
      address: { port: 2 },
      tokenFile: "t",
    });
    expect(read(text, {}, { adminGrpc: "off" }).admin.grpc).toBeUndefined();
  });

  it("is named when it is wrong", () => {
    expect(problemsOf(MINIMAL, {}, { logLevel: "wran", adminHttp: "0.0.0.0:1" })).toEqual([
      'command line --log-level: found "wran", expected trace, debug, info, warn, error or silent; did you mean warn?',
      expect.stringContaining('command line --admin-http: found "0.0.0.0:1", expected a loopback address'),
    ]);
  });
});

describe("a bad file", () => {
  it("is told in full, as the golden file has it", async () => {
    const text = readFileSync(new URL("golden/many-problems.yaml", import.meta.url), "utf8");
    const told = problemsOf(text).join("\n");
    await expect(`${told}\n`).toMatchFileSnapshot("golden/many-problems.txt");
  });

  it.each([
    ["", "f.yaml:1:1: found an empty file, expected a map with listeners and pools"],
    ["[]", "found a list, expected a map"],
    ["hello", "found text, expected a map"],
    ["a: 1\na: 2", "f.yaml:2:1: not valid YAML: map keys must be unique"],
    ["a:\n\t- b", "tabs are not allowed as indentation"],
    ["a: !tag b", "unresolved tag"],
    ["a: [1", "not valid YAML"],
    ["a: b\n---\na: c", "multiple documents"],
    ["limits: { maxQueue: ${A} }", 'inside { } and [ ] write "${NAME}" in quotes'],
    ["[".repeat(50_000), "nests deeper than 64 levels"],
    [`${"[".repeat(70)}${"]".repeat(70)}`, "nests deeper than 64 levels"],
    [
      "a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]",
      "Excessive alias count",
    ],
    [`a: ${"x".repeat(4 * 1024 * 1024)}`, "the file is too long"],
  ])("such as %.40j is told, not thrown", (text, part) => {
    const problems = problemsOf(text);
    expect(problems.length).toBe(1);
    expect(problems[0]).toContain(part);
  });

  it("is not confused by keys that objects have of themselves", () => {
    const problems = problemsOf(
      `${MINIMAL}\n__proto__: { log: { level: debug } }\nconstructor: 1\ndefaults: { pool: { __proto__: { reuse: x } } }`,
    );
    expect(problems.map((problem) => problem.split(",")[0])).toEqual([
      "f.yaml:5:1 __proto__: unknown key",
      "f.yaml:6:1 constructor: unknown key",
      "f.yaml:7:21 defaults.pool.__proto__: unknown key",
    ]);
  });

  it("tells a fault of the defaults once, where it stands", () => {
    const problems = problemsOf(`
defaults: { pool: { reuse: allways } }
listeners: [{ name: a, bind: ":1", pool: web }]
pools: [{ name: web, discovery: { type: file, path: e } }, { name: api, discovery: { type: file, path: e } }]`);
    expect(problems).toEqual([expect.stringContaining("f.yaml:2:28 defaults.pool.reuse: found")]);
  });

  it("is told with at most 200 problems and the count of the others", () => {
    const problems = problemsOf(Array.from({ length: 300 }, (_, index) => `key${index}: 1`).join("\n"));
    expect(problems).toHaveLength(201);
    expect(problems.at(-1)).toBe("f.yaml: and 101 more");
  });

  it("points into a long line", () => {
    const problem = problemsOf(`listeners: [{ name: a, bind: ":1"${" ".repeat(200)}, bnid: 1 }]`)[0] ?? "";
    const [, excerpt = "", mark = ""] = problem.split("\n");
    expect(excerpt.slice(mark.indexOf("^")).startsWith("bnid")).toBe(true);
    expect(excerpt.length).toBeLessThan(130);
  });
});

describe("secrets", () => {
  const tokens = (text: string, env: Environment = {}) => JSON.stringify(problemsOf(text, env));

  it.each([
    'consul: { token: ["s3cret"] }',
    'consul: { auth: { user: "s3cret" } }',
    "consul:\n  token:\n    - s3cret\n    - b",
    'consul: { tokn: "s3cret" }',
    'consul: { address: "http://me:s3cret@127.0.0.1:8500" }',
    'consul: { bad: 1, token: "s3cret" }',
  ])("do not show when %j is refused", (text) => {
    const told = tokens(`${MINIMAL}\n${text}`);
    expect(told).toContain("consul.");
    expect(told).not.toContain("s3cret");
  });

  it("do not show when the configuration is printed, and are there when read", () => {
    const config = read(MINIMAL, { CONSUL_HTTP_TOKEN: "s3cret", CONSUL_HTTP_AUTH: "me:s3cret" });
    expect(config.consul).toMatchObject({ token: "s3cret", auth: "me:s3cret" });
    expect({ ...config.consul }.token).toBe("s3cret");
    for (const printed of [
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      `${JSON.stringify(config.consul)}`,
    ]) {
      expect(printed).toContain("***");
      expect(printed).not.toContain("s3cret");
    }
  });
});

describe("warnings", () => {
  it.each([
    [MINIMAL, []],
    [
      "listeners: [{ name: a, bind: ':1' }]\npools: [{ name: web, discovery: { type: file, path: e } }]",
      [
        "listeners[0]: no pool and no routes: every request is answered with 404",
        "pools[0].name: no listener uses the pool web",
      ],
    ],
    [
      "listeners: [{ name: a, bind: ':1', routes: [{ pool: web }, { match: { path: /a }, pool: web }] }]\n" +
        "pools: [{ name: web, discovery: { type: file, path: e } }]",
      ["listeners[0].routes[1]: never reached: routes[0] before it matches every request"],
    ],
  ])("of %j", (text, warnings) => {
    expect(warningsOf(text)).toEqual(warnings);
  });
});

describe("loadConfig", () => {
  it("reads a file and names it in problems", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pilotfish-config-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const good = join(folder, "good.yaml");
    await writeFile(good, MINIMAL);
    expect(await loadConfig(good, { env: {} })).toMatchObject({ ok: true, warnings: [] });
    await writeFile(good, "x: 1");
    expect(await loadConfig(good, { env: {} })).toMatchObject({
      ok: false,
      problems: [{ file: good, line: 1 }, {}],
    });
    expect(await loadConfig(folder, { env: {} })).toMatchObject({
      problems: [{ message: "is a directory, expected a file" }],
    });
    expect(await loadConfig(join(folder, "no.yaml"), { env: {} })).toMatchObject({
      problems: [{ message: "no such file" }],
    });
  });
});

describe("a priority", () => {
  const listener = (protocol: string, priority: string, route = "{ pool: web }") =>
    `listeners: [{ name: front, bind: ":80", protocol: ${protocol}, pool: web, priority: ${priority}${
      protocol === "http" ? `, routes: [${route}]` : ""
    } }]
pools: [{ name: web, discovery: { type: file, path: e.yaml } }]`;

  it("is read of a listener and of a route, early offsets and text included", () => {
    const route = '{ pool: web, priority: { class: "-3", offset: -1500ms, header: X-Class } }';
    const [front] = read(listener("http", "{ class: 7, offset: 2s }", route)).listeners;
    expect(front?.priority).toEqual({ class: 7, offsetMs: 2_000, header: undefined });
    expect(front?.routes[0]?.priority).toEqual({ class: -3, offsetMs: -1_500, header: "x-class" });
  });

  it("is class 0 at once where nothing is said of it", () => {
    const [front] = read(listener("http", "{}")).listeners;
    expect([front?.priority, front?.routes[0]?.priority]).toEqual([
      { class: 0, offsetMs: 0, header: undefined },
      undefined,
    ]);
  });

  it("comes from no header of a tcp listener", () => {
    expect(read(listener("tcp", "{ class: 1 }")).listeners[0]?.priority?.class).toBe(1);
    const problems = problemsOf(listener("tcp", "{ header: x-class }"));
    expect(problems.join()).toMatch(/listeners\[0\]\.priority\.header.*no header on a tcp listener/);
  });
});

describe("a fallback", () => {
  const pool = (name: string, fallback: string) =>
    `{ name: ${name}, discovery: { type: file, path: e.yaml }, fallback: ${fallback} }`;
  const listener = 'listeners: [{ name: front, bind: ":80", pool: a }]';

  it("may stand behind another, and is used by it alone", () => {
    const text = `${listener}\npools: [${pool("a", "b")}, { name: b, discovery: { type: file, path: e.yaml } }]`;
    expect(read(text).pools[0]?.fallback).toBe("b");
    expect(warningsOf(text)).toEqual([]);
  });

  it("must exist, and never lead back", () => {
    expect(problemsOf(`${listener}\npools: [${pool("a", "c")}]`).join()).toMatch(/pools\[0\]\.fallback/);
    const circle = problemsOf(`${listener}\npools: [${pool("a", "b")}, ${pool("b", "a")}]`);
    expect(circle.join()).toContain("a pool that does not fall back on this one");
  });
});
