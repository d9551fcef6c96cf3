import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { callAdmin } from "../../support/admin-client.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { promised, until } from "../../support/promised.js";
import { connectTo, RawConnection } from "../../support/raw-connection.js";
import type { Sidecar } from "../../support/sidecar.js";
import { type Admin, Stage, sharedConsul } from "./stage.js";

const consul = sharedConsul();
let stage: Stage;

afterEach(() => stage.close());

interface Scene {
  readonly one: BackendProcess;
  readonly two: BackendProcess;
  readonly sidecar: Sidecar;
  readonly admin: Admin;
}

/** The same pool behind an HTTP and a TCP listener. */
async function scene(pool: object = {}): Promise<Scene> {
  stage = await Stage.openWithConsul(consul());
  const [one, two] = await stage.backends("one", "two");
  if (one === undefined || two === undefined) throw new Error("no backends");
  for (const backend of [one, two]) await stage.register("web", backend);
  const sidecar = await stage.sidecar({
    consul: stage.consulConfig,
    listeners: [
      { name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" },
      { name: "raw", bind: "127.0.0.1:0", protocol: "tcp", pool: "web" },
    ],
    pools: [{ name: "web", discovery: { type: "consul", service: "web" }, ...pool }],
  });
  const admin = stage.admin(sidecar);
  await admin.settles("one", "two");
  return { one, two, sidecar, admin };
}

async function tunnel(sidecar: Sidecar): Promise<RawConnection> {
  const connection = await connectTo(sidecar.port("raw"));
  stage.defer(() => connection.destroy());
  return connection;
}

/** A request through a tunnel that stays open; who answered. */
async function askThrough(connection: RawConnection): Promise<string> {
  connection.text = "";
  connection.write("GET /work HTTP/1.1\r\nHost: web\r\nX-Request-Id: t\r\n\r\n");
  await connection.receives(/\r\n\r\nt 0$/);
  return /x-backend: (\S+)/i.exec(connection.text)?.[1] ?? "";
}

describe.skipIf(isConsulMissing())("tunnels", () => {
  it("are told apart from requests by who explains a pick", async () => {
    const { sidecar } = await scene({ limits: { maxRequestsPerBackend: 1 } });
    await askThrough(await tunnel(sidecar));
    expect(await callAdmin(sidecar.grpc, "ExplainPick", { pool: "web" })).toMatchObject({
      summary: expect.stringMatching(
        /limits of requests alone do not concern tunnels .*: 2 of 2 have room for one$/,
      ),
    });
  });

  it("share the pool with requests", async () => {
    const { sidecar, admin } = await scene();
    const first = await tunnel(sidecar);
    const holder = await askThrough(first);
    // The tunnel is a lease like any other, so that the other backend is the least loaded one.
    for (let number = 0; number < 5; number++)
      expect((await ask(sidecar.port("web"))).backend).not.toBe(holder);
    const second = await tunnel(sidecar);
    expect(await askThrough(second)).not.toBe(holder);
    expect((await admin.backends()).map(({ inFlight }) => inFlight)).toEqual([1, 1]);
    first.end();
    await first.closed();
    await until(
      async () => (await admin.backends()).find(({ id }) => id === holder)?.inFlight === 0,
      5_000,
      "the end of the lease",
    );
  });

  it("stay with a backend that leaves the catalog until their end, and new ones go elsewhere", async () => {
    const { sidecar, admin, one, two } = await scene();
    const old = await tunnel(sidecar);
    const holder = await askThrough(old);
    const [left, stays] = holder === "one" ? [one, two] : [two, one];
    await stage.deregister(left);
    await admin.settles(stays.id);
    for (let number = 0; number < 4; number++) expect(await askThrough(await tunnel(sidecar))).toBe(stays.id);
    expect(await askThrough(old)).toBe(holder);
    old.end();
    await old.closed();
    await admin.gone(left.id);
  });

  it("are cut when the drain deadline of their backend passes", async () => {
    const { sidecar, admin, one, two } = await scene({ drainDeadline: "400ms" });
    const old = await tunnel(sidecar);
    const holder = await askThrough(old);
    await stage.deregister(holder === "one" ? one : two);
    await admin.gone(holder);
    expect(await old.closed()).toBe("reset");
  });

  it("break with their backend when it is killed, and the next one goes elsewhere", async () => {
    const { sidecar, one, two } = await scene();
    const cut = await tunnel(sidecar);
    const holder = await askThrough(cut);
    const [victim, survivor] = holder === "one" ? [one, two] : [two, one];
    victim.kill();
    await promised(victim.ended, 5_000, "the end of a killed backend");
    // The kernel of a killed process ends its connections in order, and answers what comes later with a reset.
    await cut.hasEnded();
    let isGone = false;
    const gone = cut.closed().finally(() => {
      isGone = true;
    });
    // The first of them draws the reset, which a socket that has read its end learns of by writing once more.
    await until(
      () => {
        if (!isGone) cut.write("anybody there?");
        return isGone;
      },
      5_000,
      "the reset",
    );
    expect(await gone).toBe("reset");
    for (let number = 0; number < 4; number++) {
      expect(await askThrough(await tunnel(sidecar))).toBe(survivor.id);
    }
  });

  it("are counted and can be drained by the admin API", async () => {
    const { sidecar, admin } = await scene();
    const open = await tunnel(sidecar);
    const holder = await askThrough(open);
    await callAdmin(sidecar.grpc, "SetState", { backend: holder, state: "ADMIN_STATE_DRAIN" });
    const drained = (await admin.backends()).find(({ id }) => id === holder);
    expect(drained?.open).toMatchObject({ requests: 0, tunnels: 1 });
    expect(await askThrough(await tunnel(sidecar))).not.toBe(holder);
    expect(await askThrough(open)).toBe(holder);
  });

  it("pass an end of either side on and keep the other direction open", async () => {
    stage = await Stage.open();
    const accepted: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      accepted.push(socket);
    });
    stage.defer(() => {
      for (const socket of accepted) socket.destroy();
      server.close();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const sidecar = await stage.sidecar({
      listeners: [{ name: "raw", bind: "127.0.0.1:0", protocol: "tcp", pool: "raw" }],
      pools: [{ name: "raw", discovery: { type: "static", endpoints: [`127.0.0.1:${address.port}`] } }],
    });
    const client = await tunnel(sidecar);
    client.write("question");
    client.end();
    await until(() => accepted.length === 1, 5_000, "the backend's side");
    const backend = new RawConnection(accepted[0] as Socket);
    await backend.receives(/^question$/);
    await backend.hasEnded();
    backend.write("late answer");
    await client.receives(/^late answer$/);
    backend.end();
    expect(await client.closed()).toBe("end");
    expect(sidecar.isOver).toBe(false);

    const other = await tunnel(sidecar);
    await until(() => accepted.length === 2, 5_000, "the backend's side");
    const speaksFirst = new RawConnection(accepted[1] as Socket);
    speaksFirst.write("greeting");
    speaksFirst.end();
    await other.receives(/^greeting$/);
    await other.hasEnded();
    other.write("late words");
    await speaksFirst.receives(/^late words$/);
    other.end();
    expect(await speaksFirst.closed()).toBe("end");
  });
});
