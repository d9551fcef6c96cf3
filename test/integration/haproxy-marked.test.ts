import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { CheckStarts } from "../../src/control/check-starts.js";
import { HealthWatches } from "../../src/control/health-watch.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import { Prober } from "../../src/control/prober.js";
import { HttpProbe } from "../../src/control/probes/http.js";
import { systemClock } from "../../src/platform/clock.js";
import { MarkedCuts } from "../../src/proxy/marked-cuts.js";
import { HaproxyChild, hasHaproxy } from "../support/haproxy-child.js";
import { startHttpProxy } from "../support/http-proxy.js";
import { apply, backendNamed, endpoint, terms } from "../support/pool-fixture.js";
import { until } from "../support/promised.js";
import { RawConnection } from "../support/raw-connection.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { RHYTHM, TARGET } from "../unit/control/check-scene.js";

const SOON_MS = 20_000;
const INTER_MS = 50;
/** A busy machine may take so long for a check. */
const TIMEOUT_MS = 10_000;

type Mode = "http" | "tcp";

interface Rules {
  /** `on-marked-down shutdown-sessions`. */
  readonly down?: boolean;
  /** `on-marked-up shutdown-backup-sessions`. */
  readonly up?: boolean;
  /** One 500 in the traffic takes it down. */
  readonly observes?: boolean;
}

/**
 * A backend whose checks the test rules. `/hold` is answered when the test says so, and so is the second half of
 * `/half`; `/fail` is a 500, and an upgrade becomes an echo.
 */
class RuledBackend {
  isWell = true;
  readonly #unfinished: (() => void)[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (head) => this.#take(socket, head.toString("latin1")));
  });

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Answers all that wait for it. */
  finish(): void {
    for (const end of this.#unfinished.splice(0)) end();
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #take(socket: Socket, head: string): void {
    if (head.startsWith("GET /status")) {
      socket.end(`HTTP/1.1 ${this.isWell ? 200 : 500} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    } else if (head.startsWith("GET /fail")) {
      socket.end("HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    } else if (head.startsWith("GET /chat")) {
      socket.write("HTTP/1.1 101 X\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n");
      socket.pipe(socket);
    } else if (head.startsWith("GET /half")) {
      socket.write("HTTP/1.1 200 X\r\ncontent-length: 8\r\n\r\nhalf");
      this.#unfinished.push(() => socket.end("half"));
    } else {
      this.#unfinished.push(() => socket.end("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nlate"));
    }
  }
}

interface Ports {
  readonly active: number;
  readonly backup: number;
}

/** A proxy in front of an active and a backup. */
interface Side {
  dial(): Socket;
  /** Of the active: up, down or in maint. */
  state(): Promise<string>;
  maint(isInMaint: boolean): unknown;
  end(): unknown;
}

type Begin = (mode: Mode, rules: Rules, ports: Ports) => Promise<Side>;

const haproxy: Begin = async (mode, rules, { active, backup }) => {
  const server = [
    `check inter ${INTER_MS} fall 1 rise 1`,
    rules.down === true ? "on-marked-down shutdown-sessions" : "",
    rules.up === true ? "on-marked-up shutdown-backup-sessions" : "",
    rules.observes === true ? "observe layer7 error-limit 1 on-error mark-down" : "",
  ].join(" ");
  const web = [
    `timeout check ${TIMEOUT_MS}`,
    "timeout client 1m",
    "timeout server 1m",
    "timeout tunnel 1m",
    "option httpchk GET /status",
    `server a 127.0.0.1:${active} ${server}`,
    `server b 127.0.0.1:${backup} ${server} backup`,
  ];
  const child = await HaproxyChild.start(web, mode);
  await child.ready();
  return {
    dial: () => connect({ path: child.front, allowHalfOpen: true }),
    state: async () => {
      const csv = await child.ask("show stat web 4 -1");
      return /^web,a,.*$/m.exec(csv)?.[0].split(",")[17]?.toLowerCase() ?? "";
    },
    maint: (isInMaint) => child.ask(`set server web/a state ${isInMaint ? "maint" : "ready"}`),
    end: () => child.stop(),
  };
};

const pilotfish: Begin = async (mode, rules, { active, backup }) => {
  const proxy =
    mode === "http" ? await startHttpProxy({ backends: [] }) : await TcpProxy.start({ backends: [] });
  const { pool, work } = proxy;
  const options = {
    ...RHYTHM,
    intervalMs: INTER_MS,
    fastIntervalMs: INTER_MS,
    downIntervalMs: INTER_MS,
    fall: 1,
    rise: 1,
    target: { ...TARGET, timeoutMs: TIMEOUT_MS },
    observe:
      rules.observes === true
        ? ({ layer: "layer7", errorLimit: 1, onError: "mark-down" } as const)
        : undefined,
    isCutWhenDown: rules.down === true,
    areBackupsCutWhenUp: rules.up === true,
  };
  const cuts = new MarkedCuts(pool, work, () => options);
  pool.subscribe((event) => cuts.hear(event));
  const parts = {
    clock: systemClock,
    random: () => 0,
    slots: new ProbeSlots(2),
    starts: new CheckStarts(systemClock),
  };
  const probe = new HttpProbe({ method: "GET", path: "/status", host: undefined }, systemClock);
  const prober = new Prober(pool, [new HealthWatches(pool, probe, options, parts)]);
  const host = "127.0.0.1";
  apply(pool, [endpoint("a", { host, port: active }), endpoint("b", { host, port: backup, priority: 1 })]);
  prober.start();
  return {
    dial: () => connect({ port: proxy.port, host, allowHalfOpen: true }),
    state: async () => {
      const { admin, check } = backendNamed(pool, "a").facts;
      return admin.state === "maint" ? "maint" : check.state;
    },
    maint: (isInMaint) =>
      pool.setAdmin(backendNamed(pool, "a"), isInMaint ? "maint" : "ready", terms(), systemClock.nowMs()),
    end: () => {
      prober.stop();
      proxy.close();
    },
  };
};

/** What a client has to say at first, and what it hears before anything else happens. */
const OPENINGS: Readonly<Record<Mode, Readonly<Record<string, readonly [say: string, hear: RegExp]>>>> = {
  http: {
    waiting: ["GET /hold HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n", /^$/],
    reading: ["GET /half HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n", /half$/],
  },
  tcp: { half: ["GET /half\r\n\r\n", /half$/], echo: ["GET /chat\r\n\r\n", /\r\n\r\n$/] },
};

/** What the case does to the active while sessions are open. */
type Deed = "fails" | "errs" | "maint" | "returns" | "is ready";

interface Scene {
  readonly side: Side;
  readonly active: RuledBackend;
}

const DEEDS: Readonly<Record<Deed, (scene: Scene) => Promise<unknown>>> = {
  fails: async ({ side, active }) => {
    active.isWell = false;
    await until(async () => (await side.state()) === "down", SOON_MS, "the active to be down");
  },
  errs: async ({ side }) => {
    const client = new RawConnection(side.dial());
    client.write("GET /fail HTTP/1.1\r\nHost: web\r\n\r\n");
    await client.receives(/^HTTP\/1.1 500 /);
    client.destroy();
  },
  maint: async ({ side }) => {
    await side.maint(true);
    await until(async () => (await side.state()) === "maint", SOON_MS, "the active to be in maint");
  },
  returns: async ({ side, active }) => {
    active.isWell = true;
    await until(async () => (await side.state()) === "up", SOON_MS, "the active to be up");
  },
  "is ready": async ({ side }) => {
    await side.maint(false);
    await until(async () => (await side.state()) === "up", SOON_MS, "the active to be up");
  },
};

interface Case {
  readonly rules: Rules;
  /** Before sessions are opened, so that they are on the backup. */
  readonly before?: Deed;
  readonly deed: Deed;
  readonly isCut: boolean;
}

/** What became of each session: what the client was told, and what it read. */
async function play(
  mode: Mode,
  { rules, before, deed, isCut }: Case,
  begin: Begin,
): Promise<Readonly<Record<string, string>>> {
  const active = new RuledBackend();
  const backup = new RuledBackend();
  await Promise.all([active.start(), backup.start()]);
  const side = await begin(mode, rules, { active: active.port, backup: backup.port });
  const scene = { side, active };
  const clients: Record<string, RawConnection> = {};
  try {
    await until(async () => (await side.state()) === "up", SOON_MS, "the first checks");
    if (before !== undefined) await DEEDS[before](scene);
    for (const [name, [say, hear]] of Object.entries(OPENINGS[mode])) {
      const client = new RawConnection(side.dial());
      clients[name] = client;
      client.write(say);
      await client.receives(hear);
    }
    await DEEDS[deed](scene);
    if (!isCut) for (const backend of [active, backup]) backend.finish();
    for (const [name, client] of Object.entries(clients)) {
      if (!isCut && name === "echo") client.write("still here");
      await (isCut ? client.hasStopped() : client.receives(/(late|halfhalf|still here)$/));
    }
    return Object.fromEntries(Object.entries(clients).map(([name, { text }]) => [name, fate(text)]));
  } finally {
    for (const client of Object.values(clients)) client.destroy();
    await side.end();
    for (const backend of [active, backup]) backend.stop();
  }
}

/** Status and body; the words of an error are each proxy's own. */
function fate(text: string): string {
  const status = /^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? "none";
  return Number(status) >= 500 ? status : `${status} ${text.slice(text.indexOf("\r\n\r\n") + 4)}`;
}

/**
 * What HAProxy makes of them, told as here: to who waits for an answer it says 502, where 503 with its Retry-After says
 * that it was not the answer that was wrong and that another try may do.
 */
async function playHaproxy(mode: Mode, each: Case): Promise<object> {
  const fates = Object.entries(await play(mode, each, haproxy));
  return Object.fromEntries(fates.map(([name, text]) => [name, text === "502" ? "503" : text]));
}

const CASES: readonly Case[] = [
  { rules: {}, deed: "fails", isCut: false },
  { rules: { down: true }, deed: "fails", isCut: true },
  { rules: { down: true }, deed: "maint", isCut: true },
  { rules: {}, deed: "maint", isCut: false },
  { rules: { up: true }, deed: "fails", isCut: false },
  { rules: { down: true }, before: "fails", deed: "returns", isCut: false },
  { rules: { up: true }, before: "fails", deed: "returns", isCut: true },
  { rules: { up: true }, before: "maint", deed: "is ready", isCut: true },
];

it.skipIf(!hasHaproxy).each(
  CASES.flatMap((each) => [
    { ...each, mode: "http" as Mode },
    { ...each, mode: "tcp" as Mode },
  ]),
)(
  "open sessions have the same fate in HAProxy and here: $mode, $rules, $before, the active $deed",
  async ({ mode, ...each }) => {
    const [here, there] = await Promise.all([play(mode, each, pilotfish), playHaproxy(mode, each)]);
    expect(here).toEqual(there);
  },
  60_000,
);

it.skipIf(!hasHaproxy)(
  "open sessions have the same fate in HAProxy and here when the traffic takes the active down",
  async () => {
    const each: Case = { rules: { down: true, observes: true }, deed: "errs", isCut: true };
    const [here, there] = await Promise.all([play("http", each, pilotfish), playHaproxy("http", each)]);
    expect(here).toEqual(there);
  },
  60_000,
);
