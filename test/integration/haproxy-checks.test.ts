import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { CheckStarts } from "../../src/control/check-starts.js";
import { HealthWatches } from "../../src/control/health-watch.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import { Prober } from "../../src/control/prober.js";
import { HttpProbe } from "../../src/control/probes/http.js";
import { systemClock } from "../../src/platform/clock.js";
import { endpoint, newPool } from "../support/pool-fixture.js";
import { only, RHYTHM, TARGET } from "../unit/control/check-scene.js";

/** What the backend answers, check by check: passes, fails, or passes late. */
const SCRIPT = "++---+-++s+-++---++";
const LATE_MS = 150;
const INTER_MS = 300;
const FAST_MS = 100;
const DOWN_MS = 500;
/** What a pause may be off on a busy machine: less than what tells the three intervals apart. */
const SLACK_MS = 90;
const hasHaproxy = spawnSync("haproxy", ["-v"]).status === 0;

/** A backend that answers checks by the script and remembers when they came. */
async function scriptedBackend(): Promise<{ server: Server; port: number; atMs: number[] }> {
  const atMs: number[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      const step = SCRIPT[atMs.length] ?? "+";
      atMs.push(performance.now());
      const status = step === "-" ? 500 : 200;
      const answer = `HTTP/1.1 ${status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
      setTimeout(() => socket.end(answer), step === "s" ? LATE_MS : 0);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, atMs };
}

/** Reads a state after each check until the script is played; answers the states and the pauses between checks. */
async function watch(atMs: readonly number[], read: () => Promise<string>): Promise<[string, number][]> {
  const states: string[] = [];
  while (atMs.length <= SCRIPT.length) {
    const seen = atMs.length;
    const state = await read();
    if (seen > 0 && seen === atMs.length) states[seen - 1] = state;
    await sleep(5);
  }
  return [...SCRIPT].map((_, step) => [
    states[step] ?? "",
    Math.round((atMs[step + 1] ?? 0) - (atMs[step] ?? 0)),
  ]);
}

async function stateInHaproxy(path: string): Promise<string> {
  const socket = connect(path).setEncoding("latin1");
  let csv = "";
  socket.on("data", (text: string) => {
    csv += text;
  });
  socket.on("error", () => {});
  socket.end("show stat web 4 -1\n");
  // Not `once`: until HAProxy listens there are errors, each followed by its close.
  await new Promise((resolve) => socket.on("close", resolve));
  return /^web,a,.*$/m.exec(csv)?.[0].split(",")[17] ?? "";
}

async function playHaproxy(): Promise<[string, number][]> {
  const { server, port, atMs } = await scriptedBackend();
  const folder = await mkdtemp(join(tmpdir(), "checks-"));
  const stats = join(folder, "stats");
  const config = join(folder, "haproxy.cfg");
  await writeFile(
    config,
    `global
  stats socket ${stats} mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
backend web
  option httpchk GET /status
  server a 127.0.0.1:${port} check inter ${INTER_MS} fastinter ${FAST_MS} downinter ${DOWN_MS} fall 3 rise 2
listen front
  bind unix@${join(folder, "front")}
  use_backend web
`,
  );
  const child: ChildProcess = spawn("haproxy", ["-db", "-f", config], { stdio: "ignore" });
  try {
    return await watch(atMs, () => stateInHaproxy(stats));
  } finally {
    child.kill();
    server.close();
    await rm(folder, { recursive: true });
  }
}

async function playPilotfish(): Promise<[string, number][]> {
  const { server, port, atMs } = await scriptedBackend();
  const pool = newPool();
  const probe = new HttpProbe({ method: "GET", path: "/status", host: undefined }, systemClock);
  const options = {
    ...RHYTHM,
    intervalMs: INTER_MS,
    fastIntervalMs: FAST_MS,
    downIntervalMs: DOWN_MS,
    target: { ...TARGET, timeoutMs: INTER_MS },
  };
  const parts = {
    clock: systemClock,
    random: () => 0,
    slots: new ProbeSlots(1),
    starts: new CheckStarts(systemClock),
  };
  const prober = new Prober(pool, [new HealthWatches(pool, probe, options, parts)]);
  const listed = { endpoints: [endpoint("a", { host: "127.0.0.1", port })] };
  pool.apply(listed, systemClock.nowMs());
  prober.start();
  try {
    return await watch(atMs, async () => only(pool).reports.health?.text ?? "");
  } finally {
    prober.stop();
    server.close();
  }
}

it.skipIf(!hasHaproxy)(
  "a scripted backend goes through the same states at the same times in HAProxy and here",
  async () => {
    const [theirs, ours] = await Promise.all([playHaproxy(), playPilotfish()]);
    expect(ours.map(([state]) => state)).toEqual(theirs.map(([state]) => state));
    for (const [step, [, pauseMs]] of ours.entries()) {
      expect(Math.abs(pauseMs - (theirs[step]?.[1] ?? 0)), `after check ${step}`).toBeLessThan(SLACK_MS);
    }
  },
  30_000,
);
