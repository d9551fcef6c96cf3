import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AdminClient,
  AdminState,
  type ReloadConfigResponse,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { ask } from "../../support/load.js";
import { until } from "../../support/promised.js";
import { Sidecar } from "../../support/sidecar.js";
import { Stage } from "./stage.js";

let stage: Stage;
let one: BackendProcess;
let two: BackendProcess;

beforeEach(async () => {
  stage = await Stage.open();
  [one, two] = (await stage.backends("one", "two")) as [BackendProcess, BackendProcess];
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

describe("a restart", () => {
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

  it("finds what an operator said after the process was killed, where there is a folder for it", async () => {
    const kept = config([one, two], { whole: { stateDir: `${stage.folder}/state` } });
    const first = await stage.sidecar(kept);
    await drain(first, "one");
    await until(async () => (await stage.admin(first).eligible()).length === 1, 5_000, "the drain");
    // Written within a moment; a kill in that very moment would lose it.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await first.stop();
    const second = await stage.sidecar(kept);
    expect(await stage.admin(second).eligible()).toEqual(["two"]);
  });
});
