import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { pause, until } from "../../support/promised.js";
import { connectTo, type RawConnection } from "../../support/raw-connection.js";
import { Sidecar } from "../../support/sidecar.js";
import { Stage } from "./stage.js";

const SOON_MS = 10_000;
let stage: Stage;

afterEach(() => stage.close());

/**
 * A backend whose checks and sessions the test rules: `/status` answers as it is told, an upgrade becomes a tunnel
 * that sends back what it gets, `/half` is answered by half, and everything else not at all.
 */
class RuledBackend {
  status = 200;
  /** How long a check waits for its answer. */
  delayMs = 0;
  /** Checks that came and were not answered yet, and the most of them since this was set. */
  open = 0;
  most = 0;
  checks = 0;
  readonly port: number;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<RuledBackend> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("data", (head) => backend.#take(socket, head.toString("latin1")));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const backend = new RuledBackend((server.address() as AddressInfo).port);
    stage.defer(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return backend;
  }

  #take(socket: Socket, head: string): void {
    if (head.startsWith("GET /status")) {
      this.checks++;
      this.most = Math.max(this.most, ++this.open);
      setTimeout(() => {
        this.open--;
        socket.end(`HTTP/1.1 ${this.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      }, this.delayMs);
    } else if (/^upgrade:/im.test(head)) {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
      socket.pipe(socket);
    } else if (head.startsWith("GET /half")) {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf.");
    }
  }
}

interface Scene {
  readonly sidecar: Sidecar;
  readonly active: RuledBackend;
  readonly backup: RuledBackend;
}

/** An active and a backup behind an HTTP and a TCP listener. */
async function scene(rules: object): Promise<Scene> {
  stage = await Stage.open();
  const active = await RuledBackend.start();
  const backup = await RuledBackend.start();
  const check = { type: "http", path: "/status", interval: "50ms", fall: 2, rise: 2, jitter: 0 };
  const endpoints = [
    { id: "active", address: `127.0.0.1:${active.port}` },
    { id: "backup", address: `127.0.0.1:${backup.port}`, backup: true },
  ];
  const sidecar = await stage.sidecar({
    log: { level: "info", access: { format: "json", to: "stdout" } },
    listeners: [
      { name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" },
      { name: "raw", bind: "127.0.0.1:0", protocol: "tcp", pool: "web" },
    ],
    pools: [{ name: "web", discovery: { type: "static", endpoints }, healthCheck: { ...check, ...rules } }],
  });
  return { sidecar, active, backup };
}

interface Sessions {
  /** Opaque bytes over the TCP listener. */
  readonly tunnel: RawConnection;
  readonly upgraded: RawConnection;
  /** A request whose answer has not begun. */
  readonly waiting: RawConnection;
  /** A request whose answer came by half. */
  readonly reading: RawConnection;
}

/** One of each kind, all under way. */
async function openSessions(sidecar: Sidecar): Promise<Sessions> {
  const begin = async (listener: string, text: string): Promise<RawConnection> => {
    const connection = await connectTo(sidecar.port(listener));
    stage.defer(() => connection.destroy());
    connection.write(text);
    return connection;
  };
  const host = "HTTP/1.1\r\nHost: web\r\n";
  const sessions = {
    tunnel: await begin("raw", `GET /half ${host}\r\n`),
    upgraded: await begin("web", `GET /chat ${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`),
    waiting: await begin("web", `GET /hold ${host}\r\n`),
    reading: await begin("web", `GET /half ${host}\r\n`),
  };
  await sessions.tunnel.receives(/half\.$/);
  await sessions.reading.receives(/half\.$/);
  await sessions.upgraded.receives(/^HTTP\/1\.1 101 /);
  sessions.upgraded.write("to and fro");
  await sessions.upgraded.receives(/to and fro$/);
  return sessions;
}

/** They are all still there: an echo comes back, and nobody was told of an end. */
async function expectOpen(sessions: Sessions): Promise<void> {
  sessions.upgraded.write("still here");
  await sessions.upgraded.receives(/still here$/);
  expect(sessions.waiting.text).toBe("");
  for (const session of Object.values(sessions))
    expect(await Promise.race([session.closed(), pause(0).then(() => "open")])).toBe("open");
}

/** They are all cut: who can be told is told, the others see their connections break. */
async function expectCut(sidecar: Sidecar, sessions: Sessions, letter: string, words: string): Promise<void> {
  await sessions.waiting.receives(new RegExp(`^HTTP/1\\.1 503 [^]*${words}`));
  await sessions.tunnel.hasStopped();
  await sessions.upgraded.hasStopped();
  await sessions.reading.hasStopped();
  expect(sessions.reading.text).toMatch(/half\.$/);
  const ends = () => sidecar.log.map(({ end }) => String(end)).filter((state) => state.startsWith(letter));
  await until(() => ends().length === 4, SOON_MS, `four lines of the access log with ${letter}`);
  expect(
    ends()
      .map((state) => state.slice(0, 2))
      .sort(),
  ).toEqual(["D", "D", "D", "H"].map((phase) => letter + phase));
}

describe("sessions of a backend that its check takes down", () => {
  it("are cut with onMarkedDown, and those on others are left alone", async () => {
    const { sidecar, active, backup } = await scene({ onMarkedDown: "shutdown-sessions" });
    const admin = stage.admin(sidecar);
    const before = await openSessions(sidecar);
    active.status = 500;
    await expectCut(sidecar, before, "D", "the backend went down");
    await admin.settles("backup");
    const onBackup = await openSessions(sidecar);
    active.status = 200;
    await admin.settles("active", "backup");
    active.status = 500;
    await admin.settles("backup");
    await expectOpen(onBackup);
    expect(backup.checks).toBeGreaterThan(0);
  });

  it("go on without it", async () => {
    const { sidecar, active } = await scene({});
    const sessions = await openSessions(sidecar);
    active.status = 500;
    await stage.admin(sidecar).settles("backup");
    await expectOpen(sessions);
  });
});

describe("sessions of a backup when an active is back", () => {
  it("are cut with onMarkedUp, and new ones go to the active", async () => {
    const { sidecar, active, backup } = await scene({ onMarkedUp: "shutdown-backup-sessions" });
    const admin = stage.admin(sidecar);
    active.status = 500;
    await admin.settles("backup");
    const onBackup = await openSessions(sidecar);
    active.status = 200;
    await expectCut(sidecar, onBackup, "U", "a preferred backend is back");
    const onActive = await openSessions(sidecar);
    backup.status = 500;
    await admin.settles("active");
    backup.status = 200;
    await admin.settles("active", "backup");
    await expectOpen(onActive);
  });

  it("go on without it", async () => {
    const { sidecar, active } = await scene({});
    const admin = stage.admin(sidecar);
    active.status = 500;
    await admin.settles("backup");
    const sessions = await openSessions(sidecar);
    active.status = 200;
    await admin.settles("active", "backup");
    await expectOpen(sessions);
  });
});

describe("limits.maxChecks", () => {
  it("caps the checks under way over all pools, and another cap follows a reload", async () => {
    stage = await Stage.open();
    const backend = await RuledBackend.start();
    backend.delayMs = 150;
    // Together they would have more than three under way at any time.
    const ids = Array.from({ length: 12 }, (_, number) => `b${number}`);
    const config = (maxChecks: number) => ({
      limits: { maxChecks },
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "one" }],
      pools: ["one", "two"].map((name) => ({
        name,
        discovery: {
          type: "static",
          endpoints: ids.map((id) => ({ id, address: `127.0.0.1:${backend.port}` })),
        },
        healthCheck: { type: "http", path: "/status", interval: "1s", timeout: "1s" },
      })),
    });
    const more = async (checks: number): Promise<number> => {
      backend.most = 0;
      const before = backend.checks;
      await until(() => backend.checks >= before + checks, SOON_MS, `${checks} checks`);
      return backend.most;
    };
    const capTo = async (sidecar: Sidecar, most: number): Promise<void> => {
      await writeFile(sidecar.file, Sidecar.text(config(most)));
      const seen = sidecar.log.length;
      sidecar.signal("SIGHUP");
      await until(() => sidecar.log.slice(seen).some(({ msg }) => msg === "reloaded"), SOON_MS, "a reload");
    };
    const sidecar = await stage.sidecar(config(1));
    expect(await more(8)).toBe(1);
    await capTo(sidecar, 3);
    expect(await more(24)).toBe(3);
    await capTo(sidecar, 1);
    // Those that were under way go on.
    await more(4);
    expect(await more(8)).toBe(1);
  });
});

/** A check that a busy machine lets pass: one that failed while nobody comes would stay. */
const CHECK = { type: "http", path: "/status", interval: "1s", downInterval: "10m", fall: 1, rise: 1 };

describe("healthCheck.demandPercent", () => {
  it("brings a backend back as soon as its traffic wants it, long before downInterval", async () => {
    stage = await Stage.open();
    const backends = await stage.backends("one", "two", "three");
    const sidecar = await stage.sidecar({
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [
        {
          name: "web",
          discovery: {
            type: "static",
            endpoints: backends.map(({ id, port }) => ({ id, address: `127.0.0.1:${port}` })),
          },
          healthCheck: { ...CHECK, demandPercent: 50 },
        },
      ],
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two", "three");
    const load = stage.load("demand", { port: sidecar.port(), open: 4 });
    await until(() => load.results.length > 50, SOON_MS, "traffic");
    backends[0]?.set({ healthStatus: 503 });
    await admin.settles("two", "three");
    backends[0]?.set({ healthStatus: 200 });
    await admin.settles("one", "two", "three");
    expect((await load.stop()).failed).toEqual([]);
  });

  it.each([false, true])(
    "brings back all of a pool that went down at rest, once traffic begins (fallback: %s)",
    async (hasFallback) => {
      stage = await Stage.open();
      const [only, spare] = await stage.backends("only", "spare");
      const listing = (backend: typeof only) => ({
        type: "static",
        endpoints: [{ id: backend?.id, address: `127.0.0.1:${backend?.port}` }],
      });
      const sidecar = await stage.sidecar({
        listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
        pools: [
          {
            name: "web",
            ...(hasFallback ? { fallback: "spare" } : {}),
            discovery: listing(only),
            healthCheck: { ...CHECK, demandPercent: 50 },
          },
          { name: "spare", discovery: listing(spare) },
        ],
      });
      const admin = stage.admin(sidecar);
      await admin.settlesByPool({ web: ["only"], spare: ["spare"] });
      only?.set({ healthStatus: 503 });
      await admin.settlesByPool({ spare: ["spare"] });
      only?.set({ healthStatus: 200 });
      stage.load("demand", { port: sidecar.port(), open: 1 });
      await admin.settlesByPool({ web: ["only"], spare: ["spare"] });
    },
  );
});
