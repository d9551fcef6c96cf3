/**
 * What active checks cost: processor time of pilotfish, and of HAProxy where it is installed, with 1,000 backends that
 * are checked every 2 s and no traffic, in percent of one core.
 *
 *     npm run bench:checks
 *     npm run bench:checks -- --kinds http --rounds 7 --limit 5     # fails above 5 % of pilotfish's median
 *     npm run bench:checks -- --kinds http --profile DIR            # writes a processor profile of pilotfish as well
 *
 * Every run is a fresh process: warmed up first, then measured over the window. `none` is the same without checks. Figures are
 * the medians of all rounds with the least and the greatest; rounds alternate, and the backends have a process of their own.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePorts, portOpen, startChild, stopChild } from "./children.js";
import { Harness } from "./harness.js";
import { haproxy } from "./peers/haproxy.js";
import { writeConfiguration } from "./peers/peer.js";
import { runPilotfish } from "./peers/pilotfish.js";
import { processorTimeNs } from "./process-cost.js";
import { median } from "./statistics.js";

const BACKENDS = 1_000;
const CHECKS_PER_SECOND = BACKENDS / 2;

/** The same check in both proxies' words. */
const KINDS = {
  none: { pilotfish: "off", haproxy: "", each: "" },
  tcp: { pilotfish: "{ type: tcp, interval: 2s, timeout: 1s }", haproxy: "", each: "check" },
  http: {
    pilotfish: "{ type: http, path: /status, host: backend, interval: 2s, timeout: 1s }",
    haproxy: "option httpchk\n    http-check send meth GET uri /status ver HTTP/1.1 hdr Host backend",
    each: "check",
  },
} as const;
type Kind = keyof typeof KINDS;

const { values } = parseArgs({
  options: {
    kinds: { type: "string", default: "none,tcp,http" },
    rounds: { type: "string", default: "5" },
    warmup: { type: "string", default: "6000" },
    window: { type: "string", default: "10000" },
    limit: { type: "string" },
    profile: { type: "string" },
    alone: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const windowMs = Number(values.window);

function kindOf(name: string): Kind {
  if (!Object.hasOwn(KINDS, name))
    throw new Error(`unknown kind ${name}, expected ${Object.keys(KINDS).join(", ")}`);
  return name as Kind;
}

type Run = (harness: Harness, kind: Kind, directory: string) => Promise<number>;

const PROXIES: Readonly<Record<string, Run>> = {
  async pilotfish(harness, kind, directory) {
    const [httpPort = 0, adminPort = 0, grpcPort = 0] = await freePorts(3);
    const file = join(directory, "pilotfish.yaml");
    writeConfiguration(
      "checks-pilotfish.yaml.in",
      {
        HTTP_PORT: httpPort,
        ADMIN_PORT: adminPort,
        GRPC_PORT: grpcPort,
        BACKENDS: listed(harness, (id, port) => `        - { id: b${id}, address: "127.0.0.1:${port}" }`),
        CHECK: KINDS[kind].pilotfish,
      },
      file,
    );
    const nodeOptions =
      values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(values.profile)}`];
    const child = await runPilotfish(file, directory, adminPort, nodeOptions);
    const share = await shareOf(child.pid ?? 0);
    await reportBad(adminPort, kind);
    await stopChild(child);
    return share;
  },

  async haproxy(harness, kind, directory) {
    const [httpPort = 0] = await freePorts(1);
    const file = join(directory, "haproxy.cfg");
    writeConfiguration(
      "checks-haproxy.cfg",
      {
        HTTP_PORT: httpPort,
        BACKENDS: listed(harness, (id, port) => `    server b${id} 127.0.0.1:${port}`),
        CHECK: KINDS[kind].haproxy,
        CHECK_EACH: KINDS[kind].each,
      },
      file,
    );
    const child = startChild({
      place: "proxy",
      command: "haproxy",
      args: ["-db", "-f", file],
      outputFile: join(directory, "output"),
      channel: false,
    });
    await portOpen(httpPort, child);
    const share = await shareOf(child.pid ?? 0);
    await stopChild(child);
    return share;
  },
};

function listed(harness: Harness, line: (id: number, port: number) => string): string {
  const ports = harness.httpBackends;
  return Array.from({ length: BACKENDS }, (_, id) => line(id, ports[id % ports.length] ?? 0)).join("\n");
}

/** Percent of one core over the window, after the warm-up. */
async function shareOf(pid: number): Promise<number> {
  await sleep(Number(values.warmup));
  const beforeNs = processorTimeNs(pid);
  const startMs = performance.now();
  await sleep(windowMs);
  const ns = processorTimeNs(pid) - beforeNs;
  return (ns / 1e6 / (performance.now() - startMs)) * 100;
}

/** A figure of checks that failed, or were not made, would say nothing. */
async function reportBad(adminPort: number, kind: Kind): Promise<void> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const total = (name: string): number =>
    [...text.matchAll(new RegExp(`^pilotfish_backend_check_${name}_total\\{.*\\} (\\d+)$`, "gm"))]
      .map(([, count]) => Number(count))
      .reduce((sum, count) => sum + count, 0);
  const expected = (CHECKS_PER_SECOND * (windowMs + Number(values.warmup))) / 1_000;
  const passed = total("successes");
  if (total("failures") > 0 || (kind !== "none" && passed < expected * 0.8))
    throw new Error(`${kind}: ${passed} checks passed and ${total("failures")} failed, expected ${expected}`);
}

const kinds = values.kinds.split(",").map(kindOf);
const names = Object.keys(PROXIES).filter(
  (name) => name !== "haproxy" || (!values.alone && haproxy.version() !== undefined),
);
const shares = new Map<string, number[]>();
const harness = new Harness();
try {
  await harness.start();
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      for (const name of names) {
        const directory = join(harness.directory, `${name}-${kind}-${round}`);
        mkdirSync(directory);
        const share = await PROXIES[name]?.(harness, kind, directory);
        const key = `${name} ${kind}`;
        shares.set(key, [...(shares.get(key) ?? []), share ?? Number.NaN]);
        console.error(`round ${round + 1} of ${rounds}: ${key} ${share?.toFixed(2)} %`);
      }
    }
  }
} finally {
  await harness.stop();
}

console.log(
  `percent of one core, ${BACKENDS} backends every 2 s, ${rounds} runs of ${windowMs} ms, ${process.version}`,
);
for (const [key, found] of shares) {
  const figures = [median(found), Math.min(...found), Math.max(...found)];
  console.log([key.padEnd(20), ...figures.map((figure) => figure.toFixed(2).padStart(8))].join(" "));
}
const most = Number(values.limit ?? Number.POSITIVE_INFINITY);
for (const kind of kinds) {
  const found = median(shares.get(`pilotfish ${kind}`) ?? []);
  if (found <= most) continue;
  console.error(`${kind} checks took ${found.toFixed(2)} % of a core, more than ${most}`);
  process.exitCode = 1;
}
