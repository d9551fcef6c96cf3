import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  AdminClient,
  AdminState,
  type ReloadConfigResponse,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { ask } from "../../support/load.js";
import { pause, until } from "../../support/promised.js";
import { Sidecar } from "../../support/sidecar.js";
import { Stage } from "./stage.js";

/** Of all cases: the backends. */
let house: Stage;
let one: BackendProcess;
let two: BackendProcess;
let stage: Stage;

beforeAll(async () => {
  house = await Stage.open();
  [one, two] = (await house.backends("one", "two")) as [BackendProcess, BackendProcess];
  // Requests are always under way, while the programs that start have the machine to themselves.
  for (const backend of [one, two]) backend.set({ delayMs: 10 });
});

afterAll(() => house.close());

beforeEach(async () => {
  stage = await Stage.open();
});

afterEach(() => stage.close());

/** A pool of the given backends under their ids, and a listener in front of it. */
function config(backends: readonly BackendProcess[], changes: { pool?: object; whole?: object } = {}) {
  const endpoints = backends.map(({ id, port }) => ({ id, address: `127.0.0.1:${port}` }));
  return {
    shutdown: { grace: "0s", deadline: "5s" },
    listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
    pools: [{ name: "web", discovery: { type: "static", endpoints }, ...changes.pool }],
    ...changes.whole,
  };
}

const isReload = ({ msg }: { readonly msg?: unknown }) => /^reload(ed| refused)/.test(String(msg));

/** Writes another configuration, sends SIGHUP, and answers what the log says of it. */
async function reload(sidecar: Sidecar, next: object | string) {
  const seen = sidecar.log.filter(isReload).length;
  await writeFile(sidecar.file, typeof next === "string" ? next : Sidecar.text(next));
  sidecar.signal("SIGHUP");
  await until(() => sidecar.log.filter(isReload).length > seen, 10_000, "a reload");
  return sidecar.log.filter(isReload).at(-1);
}

function clientOf(sidecar: Sidecar): AdminClient {
  const client = new AdminClient(sidecar.grpc, credentials.createInsecure());
  stage.defer(() => client.close());
  return client;
}

function drain(sidecar: Sidecar, backend: string): Promise<void> {
  const request = {
    pool: "web",
    backend,
    state: AdminState.ADMIN_STATE_DRAIN,
    ttl: undefined,
    owner: "ann",
    reason: "test",
  };
  return new Promise((resolve, reject) => {
    clientOf(sidecar).setState(request, (error: ServiceError | null) => (error ? reject(error) : resolve()));
  });
}

/** A connection that is taken. */
function connectTo(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path }, () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}

function reloadByAdmin(sidecar: Sidecar, dryRun: boolean): Promise<ReloadConfigResponse> {
  return new Promise((resolve, reject) => {
    clientOf(sidecar).reloadConfig({ dryRun, owner: "", reason: "" }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

describe("a reload", () => {
  it("keeps what was learnt of a backend, and what an operator said", async () => {
    const sidecar = await stage.sidecar(config([one, two]));
    const admin = stage.admin(sidecar);
    for (let round = 0; round < 10; round++) await ask(sidecar.port());
    await drain(sidecar, "one");
    const line = await reload(
      sidecar,
      config([one, two], { pool: { timeouts: { connect: "1s" }, balance: "roundrobin" } }),
    );
    expect(line).toMatchObject({
      msg: "reloaded",
      changes: expect.arrayContaining(["pools[web].timeouts.connectMs: 5000 -> 1000"]),
    });
    expect(await sidecar.metric("pilotfish_backend_sessions_total", 'pool="web"')).toBe(10);
    expect(await admin.eligible()).toEqual(["two"]);
  });

  it("changes nothing where the file is wrong, and says where", async () => {
    const sidecar = await stage.sidecar(config([one]));
    const line = await reload(sidecar, "listeners: [{ name: web, bnd: ':1' }]\n");
    expect(line?.msg).toBe("reload refused, nothing changed");
    expect(JSON.stringify(line)).toContain("unknown key; did you mean bind?");
    expect((await ask(sidecar.port())).backend).toBe("one");
  });

  it("refuses what a running process cannot change, and says what to do", async () => {
    const sidecar = await stage.sidecar(config([one]));
    const line = await reload(sidecar, config([two], { whole: { stateDir: stage.folder } }));
    expect(JSON.stringify(line)).toContain("restart the process");
    expect((await ask(sidecar.port())).backend).toBe("one");
  });

  it("changes nothing where a new address is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    stage.defer(() => taken.close());
    const { port } = taken.address() as { port: number };
    const sidecar = await stage.sidecar(config([one]));
    const listeners = [
      { name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "next" },
      { name: "more", bind: `127.0.0.1:${port}`, protocol: "http", pool: "next" },
    ];
    const next = { ...config([two]), listeners, pools: [{ ...config([two]).pools[0], name: "next" }] };
    const line = await reload(sidecar, next);
    expect(JSON.stringify(line)).toContain("somebody else listens there already");
    expect((await ask(sidecar.port())).backend).toBe("one");
    expect((await stage.admin(sidecar).backends()).map(({ pool }) => pool)).toEqual(["web"]);
  });

  it("adds and takes away listeners and pools; open connections go by the new routes", async () => {
    const sidecar = await stage.sidecar(config([one]));
    const load = stage.load("reload", { port: sidecar.port(), open: 4, methods: ["GET", "POST"] });
    await load.more(50);
    const next = config([two]);
    const added = { ...next.pools[0], name: "next" };
    const listeners = [
      { ...next.listeners[0], pool: "next" },
      { name: "more", bind: "127.0.0.1:0", protocol: "http", pool: "next" },
    ];
    expect((await reload(sidecar, { ...next, listeners, pools: [added] }))?.msg).toBe("reloaded");
    const before = load.results.length;
    await load.more(50);
    const report = await load.stop();
    expect(report.problems()).toEqual({});
    // The few that were under way still went to the old pool.
    const answered = report.results.slice(before + 8).map(({ backend }) => backend);
    expect(new Set(answered)).toEqual(new Set(["two"]));
    const port = sidecar.port("more");
    expect((await ask(port)).backend).toBe("two");
    expect((await reload(sidecar, { ...next, pools: [added], listeners: [listeners[0]] }))?.msg).toBe(
      "reloaded",
    );
    await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
    expect((await ask(sidecar.port())).backend).toBe("two");
  });

  it("shows the difference on a dry run by gRPC, and takes it up when asked in earnest", async () => {
    const sidecar = await stage.sidecar(config([one]));
    await writeFile(sidecar.file, Sidecar.text(config([two])));
    const dry = await reloadByAdmin(sidecar, true);
    expect(dry).toMatchObject({ applied: false, problems: [] });
    expect(dry.changes.map(({ path }) => path)).toEqual(["pools[web].discovery"]);
    expect((await ask(sidecar.port())).backend).toBe("one");
    expect((await reloadByAdmin(sidecar, false)).applied).toBe(true);
    await until(async () => (await ask(sidecar.port())).backend === "two", 5_000, "the other backend");
  });
});

describe("reloads without end", () => {
  it("cost no request and no count", async () => {
    const sidecar = await stage.sidecar(config([one, two]));
    const kept = stage.load("kept", { port: sidecar.port(), open: 4, methods: ["GET", "POST"] });
    const fresh = stage.load("fresh", { port: sidecar.port(), open: 2, isFresh: true });
    for (let round = 0; round < 15; round++) {
      const pool = {
        balance: round % 2 === 0 ? "roundrobin" : "leastconn",
        timeouts: { server: `${10 + round}s` },
        discovery: {
          type: "static",
          endpoints: (round % 3 === 0 ? [one] : [one, two]).map(({ id, port }) => ({
            id,
            address: `127.0.0.1:${port}`,
          })),
        },
      };
      expect((await reload(sidecar, config([one, two], { pool })))?.msg).toBe("reloaded");
      await fresh.more(10);
    }
    const reports = [await kept.stop(), await fresh.stop()];
    expect(reports.map((report) => report.problems())).toEqual([{}, {}]);
    const answered = reports.reduce((sum, report) => sum + report.results.length, 0);
    expect(await sidecar.metric("pilotfish_listener_http_requests_total")).toBe(answered);
  });
});

it("gives an address to another listener, of another protocol too, without a refused connection", async () => {
  const sidecar = await stage.sidecar(config([one]));
  const bind = `127.0.0.1:${sidecar.port()}`;
  const named = (name: string, protocol: string) => ({
    listeners: [{ name, bind, protocol, pool: "web" }],
  });
  // The address as it is written decides: port 0 is nobody's to ask for.
  await sidecar.stop();
  const second = await stage.sidecar(config([one], { whole: named("web", "http") }));
  const fresh = stage.load("fresh", { port: second.port(), open: 3, isFresh: true });
  for (const [name, protocol] of [
    ["front", "http"],
    ["raw", "tcp"],
    ["web", "http"],
  ] as const) {
    await fresh.more(20);
    expect((await reload(second, config([one], { whole: named(name, protocol) })))?.msg).toBe("reloaded");
  }
  await fresh.more(20);
  expect((await fresh.stop()).problems()).toEqual({});
  expect(
    (
      await reload(
        second,
        config([one], {
          whole: { listeners: [{ ...named("web", "http").listeners[0], bind: "127.0.0.1:0" }] },
        }),
      )
    )?.msg,
  ).toBe("reloaded");
  await expect(ask(Number(bind.split(":")[1]))).rejects.toThrow("ECONNREFUSED");
});

describe("the admin addresses", () => {
  it("move with a reload, and the old ones close", async () => {
    const sidecar = await stage.sidecar(config([one]));
    const old = sidecar.http;
    const admin = { grpc: `unix:${stage.folder}/admin.sock`, http: `unix:${stage.folder}/http.sock` };
    expect((await reload(sidecar, config([one], { whole: { admin } })))?.msg).toBe("reloaded");
    expect(sidecar.grpc).toBe(admin.grpc);
    expect(await stage.admin(sidecar).eligible()).toEqual(["one"]);
    await until(
      () =>
        fetch(`http://${old}/healthz`).then(
          () => false,
          () => true,
        ),
      5_000,
      "the end of the old one",
    );
    // Only the gRPC API moves; its neighbour stays as it is.
    const off = { ...admin, grpc: "off" };
    expect((await reload(sidecar, config([one], { whole: { admin: off } })))?.msg).toBe("reloaded");
    expect(existsSync(`${stage.folder}/admin.sock`)).toBe(false);
    expect(existsSync(`${stage.folder}/http.sock`)).toBe(true);
  });

  it("stay where they are when one of the new ones is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(`${stage.folder}/taken.sock`, resolve));
    stage.defer(() => taken.close());
    const sidecar = await stage.sidecar(config([one]));
    const admin = { grpc: "127.0.0.1:0", http: `unix:${stage.folder}/taken.sock` };
    expect((await reload(sidecar, config([one], { whole: { admin } })))?.msg).toBe(
      "reload refused, nothing changed",
    );
    expect(await sidecar.readiness()).toBe(200);
    expect(await stage.admin(sidecar).eligible()).toEqual(["one"]);
  });
});

// Up to four processes start one after the other in a case, a second of work each: much where others work.
describe("a restart", { timeout: 120_000 }, () => {
  it("loses nothing, time and again: kept and new connections, halves of bodies, unix sockets, readiness", async () => {
    const bind = ["127.0.0.1:0", `unix:${stage.folder}/web.sock`];
    const listeners = [{ name: "web", bind, protocol: "http", pool: "web" }];
    const sidecar = await stage.sidecar(config([one, two], { whole: { listeners } }));
    const port = sidecar.port();
    const kept = stage.load("kept", { port, open: 4 });
    const fresh = stage.load("fresh", { port, open: 3, isFresh: true });
    const halves = stage.load("halves", {
      port,
      open: 3,
      methods: ["POST"],
      halfPauseMs: 150,
      isFresh: true,
    });
    const seen = { unix: 0, ready: 0, failures: [] as string[], isOver: false };
    const watch = async () => {
      while (!seen.isOver) {
        const failed = (what: string) => (error: unknown) => seen.failures.push(`${what} ${error}`);
        await connectTo(`${stage.folder}/web.sock`).then(() => seen.unix++, failed("unix"));
        await ask(Number(sidecar.http.split(":").at(-1)), "/readyz").then(({ status }) => {
          if (status === 200) seen.ready++;
          else seen.failures.push(`not ready: ${status}`);
        }, failed("readiness"));
        await pause(10);
      }
    };
    const watching = watch();
    for (let round = 0; round < 3; round++) {
      await fresh.more(20);
      await sidecar.restart();
    }
    await fresh.more(20);
    seen.isOver = true;
    await watching;
    const reports = [await kept.stop(), await fresh.stop(), await halves.stop()];
    expect(reports.map((report) => report.problems())).toEqual([{}, {}, {}]);
    expect(seen.failures).toEqual([]);
    expect(seen.unix).toBeGreaterThan(20);
    expect(existsSync(`${stage.folder}/web.sock`)).toBe(true);
  });

  it("leaves the old process serving where the new one cannot start", async () => {
    const sidecar = await stage.sidecar(config([one]));
    const { pid } = sidecar;
    await writeFile(sidecar.file, "listeners: nonsense\n");
    sidecar.signal("SIGUSR2");
    await sidecar.line(({ msg }) => msg === "restart failed, serving on");
    expect((await ask(sidecar.port())).status).toBe(200);
    expect(await sidecar.readiness()).toBe(200);
    await writeFile(sidecar.file, Sidecar.text(config([one])));
    await sidecar.restart();
    expect(sidecar.pid).not.toBe(pid);
    expect((await ask(sidecar.port())).status).toBe(200);
  });

  it("takes over what an operator said, also where nothing is kept on disk", async () => {
    const sidecar = await stage.sidecar(config([one, two]));
    await drain(sidecar, "one");
    await sidecar.restart();
    expect(await stage.admin(sidecar).eligible()).toEqual(["two"]);
  });

  it("passes on sockets that a service manager opened", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const listeners = [{ name: "web", bind: "fd:3", protocol: "http", pool: "web" }];
    const sidecar = await Sidecar.launch(config([one], { whole: { listeners } }), stage.folder, [fd]);
    stage.defer(() => sidecar.stop());
    server.close();
    await sidecar.ready();
    expect((await ask(port)).backend).toBe("one");
    await sidecar.restart();
    expect((await ask(port)).backend).toBe("one");
    await sidecar.restart();
    expect((await ask(port)).backend).toBe("one");
  });

  it("finds what an operator said after the process was killed, where there is a folder for it", async () => {
    const kept = config([one, two], { whole: { stateDir: `${stage.folder}/state` } });
    const first = await stage.sidecar(kept);
    await drain(first, "one");
    await until(async () => (await stage.admin(first).eligible()).length === 1, 5_000, "the drain");
    // Written within a moment; a kill in that very moment would lose it.
    await pause(200);
    // By SIGKILL.
    await first.stop();
    const second = await stage.sidecar(kept);
    expect(await stage.admin(second).eligible()).toEqual(["two"]);
  });
});
