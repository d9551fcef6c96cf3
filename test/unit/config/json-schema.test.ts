import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { configJsonSchema } from "../../../src/config/json-schema.js";
import { parseConfig } from "../../../src/config/load.js";
import { isMap } from "../../../src/config/path.js";

const FULL = `
version: 1
log: { level: info, access: { format: json, to: "file:/var/log/access.log" } }
threads: 1
limits: { maxConnections: 10000 }
shutdown: { grace: 2s, deadline: 30s }
trustedNetworks: [127.0.0.0/8, "::1"]
startDeadline: "\${START}"
consul:
  address: https://127.0.0.1:8501
  tokenFile: /run/token
  auth: a:b
  datacenter: dc1
  namespace: ns
  partition: part
  tls: { ca: ca.pem, cert: cert.pem, key: key.pem, serverName: consul, verify: false }
  wait: 60s
  emptyGrace: 10s
  coalesce: 50ms
admin:
  grpc: { address: "0.0.0.0:7070", tls: { cert: a, key: b, clientCa: c }, tokenFile: t, insecure: false }
  http: off
  probe: 0.0.0.0:7081
service:
  name: web
  port: 5001
  id: web-1
  address: 10.0.0.5
  tags: [v2]
  meta: { zone: b }
  weights: { passing: 10, warning: 2 }
  advertise: { listener: front }
  check: { kind: ttl-probe, http: /status, interval: 1s, timeout: 1s, ttl: 10s, deregisterCriticalServiceAfter: 1m, fall: 3, rise: 2 }
  shutdown: maintenance
defaults:
  listener: { limits: { maxHeaders: 64 } }
  pool: { healthCheck: { type: http, path: /status }, timeouts: { connect: 1s } }
listeners:
  - name: front
    bind: ["127.0.0.1:60000-60001", { address: "unix:/run/front.sock", mode: "0660" }, ":8443", "fd:3"]
    protocol: http
    direction: outbound
    timeouts: { client: 30s, httpRequest: 10s, httpKeepAlive: 60s }
    limits: { maxConnections: 4096, maxWaiting: 0, backlog: 128, maxConnectionsPerAddress: 0, maxHeadBytes: 16KiB, maxHeaders: "\${HEADERS}" }
    pool: web
    routes:
      - match: { host: api.local, pathPrefix: /v1, method: GET, headers: { X-Canary: "1" } }
        pools: [{ pool: web, weight: 90 }, { pool: legacy, weight: 10 }]
        timeouts: { requestTotal: 2s, server: 1s }
        retries: { max: 1 }
  - { name: in, bind: "[::1]:9000", protocol: tcp, direction: inbound, pool: legacy }
pools:
  - name: web
    discovery: { type: consul, service: web, tags: [v2], minStatus: warning, filter: "x == y", resolve: one }
    balance: { algorithm: leastconn, idle: haproxy }
    timeouts: { connect: 5s, server: 30s, queue: 5s, tunnel: 1h, requestTotal: 0s, upstreamIdle: 60s }
    retries: { max: 3, redispatch: true }
    reuse: safe
    reuseSafeFor: 1s
    healthCheck: { interval: 2s, timeout: 1s, fall: 3, rise: 2 }
    outlierDetection: { consecutive5xx: 5, interval: 10s, baseEjectionTime: 30s, maxEjectionTime: 1h, maxEjectionPercent: 50, splitExternalLocalOriginErrors: true, enforcingSuccessRate: 50, maxEjectionTimeJitter: 1s, minHealthyBackends: 2, latency: { percentile: 95, factor: 2.5 } }
    slowStart: { window: 30s, aggression: 1.5, minPercent: 10 }
    limits: { maxConnectionsPerBackend: 100, maxRequestsPerBackend: 0, maxQueue: 1000 }
    drainDeadline: 30s
  - name: legacy
    balance: random
    healthCheck: off
    outlierDetection: on
    slowStart: 30s
    discovery: { type: static, endpoints: ["10.0.0.2:80", { address: "web-b:80", weight: 10, id: web02, tags: [a], meta: { zone: b } }] }
`;

const BAD = [
  "{}",
  "listeners: []",
  "listeners: [{ name: a }]",
  "listeners: [{ name: a, bind: ':1', protocl: http }]",
  "listeners: [{ name: a, bind: ':1', protocol: quic }]",
  "listeners: [{ name: a, bind: ':1', timeouts: { client: 30 } }]",
  "listeners: [{ name: a, bind: ':1', limits: { maxHeadBytes: 16KB } }]",
  "listeners: [{ name: a, bind: ':1', limits: { maxHeaders: 0 } }]",
  "listeners: [{ name: a, bind: ':1' }]\npools: [{ name: a, discovery: { type: dns } }]",
  "listeners: [{ name: a, bind: ':1' }]\npools: [{ name: a, discovery: { type: file, path: e }, healthCheck: { typ: tcp } }]",
  "listeners: [{ name: a, bind: ':1' }]\nservice: { name: a, port: 1, check: { kind: script } }",
  "listeners: [{ name: a, bind: ':1' }]\nservice: { name: a }",
  "listeners: [{ name: a, bind: ':1' }]\nconsul: { tls: { verify: perhaps } }",
];

describe("the JSON schema", () => {
  const schema = configJsonSchema();
  const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);

  it("accepts a full file, as the program does", () => {
    const result = parseConfig(FULL, { file: "f", env: { START: "5s", HEADERS: "64" } });
    expect(result.ok ? [] : result.problems).toEqual([]);
    expect(validator.safeParse(parse(FULL)).error?.issues).toBeUndefined();
  });

  it.each(BAD)("refuses %j, as the program does", (text) => {
    expect(parseConfig(text, { file: "f", env: {} }).ok).toBe(false);
    expect(validator.safeParse(parse(text)).success).toBe(false);
  });

  it("is draft 7, forbids unknown keys everywhere, and explains every field", () => {
    expect(schema).toMatchObject({
      $schema: "http://json-schema.org/draft-07/schema#",
      additionalProperties: false,
    });
    let fields = 0;
    const visit = (node: unknown, path: string): void => {
      if (Array.isArray(node)) for (const item of node) visit(item, path);
      if (!isMap(node)) return;
      if (isMap(node.properties)) {
        expect(node.additionalProperties, path).toBe(false);
        for (const [key, field] of Object.entries(node.properties)) {
          fields += 1;
          expect(field, `${path}.${key}`).toHaveProperty("description");
          visit(field, `${path}.${key}`);
        }
      }
      visit(node.items, `${path}[]`);
      visit(node.anyOf, path);
    };
    visit(schema, "");
    expect(fields).toBeGreaterThan(100);
  });

  it("tells defaults in the words of the file", () => {
    expect(schema).toMatchObject({
      properties: {
        startDeadline: { default: "10s" },
        listeners: {
          items: { properties: { limits: { properties: { maxHeadBytes: { default: "16KiB" } } } } },
        },
      },
    });
  });

  it("survives being written as JSON", () => {
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  });
});
