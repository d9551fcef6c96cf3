/** The scenarios, the numbers each is about, and the limits the project has set itself for them. */
import { CHUNKED_BYTES, SMALL_BYTES } from "./backend/http.js";
import type { Traffic } from "./load/job.js";

/** A number measured in a row; its unit is part of the name except for rates, which are per second of wall time. */
export type Metric =
  | "cpuUs"
  | "exchangesPerSecond"
  | "mibPerSecond"
  | "p50Us"
  | "p99Us"
  | "busyPercent"
  | "idleMib"
  | "connectionKib";

export const METRICS: Readonly<Record<Metric, { readonly title: string; readonly digits: number }>> = {
  cpuUs: { title: "processor µs", digits: 1 },
  exchangesPerSecond: { title: "per second", digits: 0 },
  mibPerSecond: { title: "MiB/s", digits: 0 },
  p50Us: { title: "p50 µs", digits: 0 },
  p99Us: { title: "p99 µs", digits: 0 },
  busyPercent: { title: "proxy core %", digits: 0 },
  idleMib: { title: "idle MiB", digits: 1 },
  connectionKib: { title: "KiB per idle connection", digits: 1 },
};

export interface TrafficRow {
  readonly kind: "traffic";
  readonly id: string;
  readonly title: string;
  readonly traffic: Traffic;
  readonly connections: number;
  /** Constant rate at half of saturation instead of busy connections. */
  readonly constantRate: boolean;
  /** What the short table shows. */
  readonly headline: readonly Metric[];
}

export interface MemoryRow {
  readonly kind: "memory";
  readonly id: string;
  readonly title: string;
  readonly traffic: Traffic;
  readonly connections: number;
  readonly headline: readonly Metric[];
}

export type Row = TrafficRow | MemoryRow;

const MIB = 1024 * 1024;
const GET = {
  kind: "http",
  method: "GET",
  path: "/small?of=bench",
  requestBytes: 0,
  chunkBytes: undefined,
  responseBytes: SMALL_BYTES,
  close: false,
} as const satisfies Traffic;

function post(bytes: number): Extract<Traffic, { kind: "http" }> {
  return { ...GET, method: "POST", path: `/${bytes}`, requestBytes: bytes };
}

function busy(
  id: string,
  title: string,
  traffic: Traffic,
  connections: number,
  ...more: Metric[]
): TrafficRow {
  return {
    kind: "traffic",
    id,
    title,
    traffic,
    connections,
    constantRate: false,
    headline: ["cpuUs", ...more],
  };
}

export const ROWS: readonly Row[] = [
  busy("get-1", "GET, 1 connection", GET, 1, "p50Us"),
  busy("get-64", "GET, 64 connections", GET, 64, "exchangesPerSecond"),
  busy("get-1000", "GET, 1,000 connections", GET, 1_000),
  busy("post-1k", "POST 1 KiB, 64 connections", post(1024), 64),
  busy("post-1m", "POST 1 MiB, 16 connections", post(MIB), 16, "mibPerSecond"),
  busy(
    "chunked",
    "POST chunked 8 KiB both ways, 64 connections",
    {
      ...post(CHUNKED_BYTES),
      path: `/${CHUNKED_BYTES}/chunked`,
      chunkBytes: 1024,
      responseBytes: CHUNKED_BYTES,
    },
    64,
  ),
  busy("close", "GET, a connection per request, 64 at once", { ...GET, close: true }, 64),
  busy(
    "tcp-echo",
    "TCP round trip of 64 bytes, 64 connections",
    { kind: "tcp", requestBytes: 64, responseBytes: 64, close: false },
    64,
  ),
  busy(
    "tcp-connect",
    "TCP, a connection per round trip of 64 bytes, 64 at once",
    { kind: "tcp", requestBytes: 64, responseBytes: 64, close: true },
    64,
  ),
  busy(
    "tcp-1m",
    "TCP echo of 1 MiB, 8 connections",
    { kind: "tcp", requestBytes: MIB, responseBytes: MIB, close: false },
    8,
    "mibPerSecond",
  ),
  {
    kind: "traffic",
    id: "latency",
    title: "GET at half of saturation, constant rate",
    traffic: GET,
    connections: 64,
    constantRate: true,
    headline: ["p50Us", "p99Us"],
  },
  {
    kind: "memory",
    id: "memory",
    title: "Resident memory, idle and per connection of 1,000",
    traffic: GET,
    connections: 1_000,
    headline: ["idleMib", "connectionKib"],
  },
];

/** A promise about pilotfish. With `against` it is about the ratio to that proxy, without it about the value itself. */
export interface Limit {
  readonly row: string;
  readonly metric: Metric;
  readonly against: string | undefined;
  readonly bound: "at most" | "at least";
  readonly value: number;
}

const KEEP_ALIVE_ROWS = ["get-1", "get-64", "get-1000", "post-1k"];

export const LIMITS: readonly Limit[] = [
  ...KEEP_ALIVE_ROWS.flatMap((row): Limit[] => [
    { row, metric: "cpuUs", against: "haproxy", bound: "at most", value: 1.3 },
    { row, metric: "cpuUs", against: "http-proxy", bound: "at most", value: 0.4 },
  ]),
  { row: "close", metric: "cpuUs", against: "haproxy", bound: "at most", value: 1.6 },
  { row: "tcp-echo", metric: "cpuUs", against: "haproxy", bound: "at most", value: 1.4 },
  { row: "tcp-1m", metric: "mibPerSecond", against: "haproxy", bound: "at least", value: 0.7 },
  { row: "latency", metric: "p99Us", against: "haproxy", bound: "at most", value: 1.5 },
  { row: "memory", metric: "connectionKib", against: undefined, bound: "at most", value: 12 },
  { row: "memory", metric: "idleMib", against: undefined, bound: "at most", value: 90 },
];
