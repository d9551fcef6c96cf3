import { writeFile } from "node:fs/promises";
import { credentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AdminClient,
  AdminState,
  SetStateRequest,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { ask } from "../../support/load.js";
import { until } from "../../support/promised.js";
import { Sidecar } from "../../support/sidecar.js";
import { Stage } from "./stage.js";

let stage: Stage;
let backends: BackendProcess[];

beforeEach(async () => {
  stage = await Stage.open();
  backends = await stage.backends("one", "two", "three");
});

afterEach(() => stage.close());

/** A pool that remembers by a table who was served by whom; balanced in turns, nobody would come back by chance. */
function config(pool: object = {}, whole: object = {}) {
  const endpoints = backends.map(({ id, port }) => ({ id, address: `127.0.0.1:${port}` }));
  const affinity = { type: "table", on: "query", name: "user", size: 1_000, expire: "10m" };
  return {
    shutdown: { grace: "0s", deadline: "5s" },
    listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
    pools: [
      { name: "web", balance: "roundrobin", affinity, discovery: { type: "static", endpoints }, ...pool },
    ],
    ...whole,
  };
}

const USERS = Array.from({ length: 20 }, (_none, index) => `user${index}`);

/** Has each user ask once, in an order that differs from round to round; answers who served whom. */
async function round(sidecar: Sidecar, shift: number): Promise<Record<string, string>> {
  const served: Record<string, string> = {};
  for (const index of USERS.keys()) {
    const user = USERS[(index * 7 + shift) % USERS.length] as string;
    const { status, backend } = await ask(sidecar.port(), `/work?user=${user}`);
    expect(status).toBe(200);
    served[user] = backend;
  }
  return served;
}

function entriesOf(sidecar: Sidecar): Promise<number | undefined> {
  return sidecar.metric("pilotfish_sticktable_used", 'pool="web"');
}

describe("the entries of a stick table", () => {
  it("outlive a reload that changes its size, its time, the balancer and the timeouts", async () => {
    const sidecar = await stage.sidecar(config());
    const before = await round(sidecar, 0);
    expect(new Set(Object.values(before)).size).toBe(3);
    const affinity = { type: "table", on: "query", name: "user", size: 500, expire: "5m" };
    await writeFile(
      sidecar.file,
      Sidecar.text(config({ affinity, balance: "leastconn", timeouts: { connect: "1s" } })),
    );
    sidecar.signal("SIGHUP");
    await sidecar.line(({ msg }) => msg === "reloaded");
    expect(await round(sidecar, 3)).toEqual(before);
    expect(await sidecar.metric("pilotfish_sticktable_size", 'pool="web"')).toBe(500);
  });

  it("are known to the process that takes over, and to the next one", async () => {
    const sidecar = await stage.sidecar(config());
    const before = await round(sidecar, 0);
    await sidecar.restart();
    expect(await entriesOf(sidecar)).toBe(USERS.length);
    expect(await round(sidecar, 5)).toEqual(before);
    await sidecar.restart();
    expect(await round(sidecar, 11)).toEqual(before);
  });

  it("outlive an orderly stop where there is a folder for them", async () => {
    const kept = config({}, { stateDir: `${stage.folder}/state` });
    const first = await stage.sidecar(kept);
    const before = await round(first, 0);
    first.signal("SIGTERM");
    expect(await first.end()).toBe(0);
    const second = await stage.sidecar(kept);
    expect(await round(second, 9)).toEqual(before);
  });

  it("are forgotten by a stop where there is no folder", async () => {
    const first = await stage.sidecar(config());
    await round(first, 0);
    first.signal("SIGTERM");
    expect(await first.end()).toBe(0);
    const second = await stage.sidecar(config());
    expect(await entriesOf(second)).toBe(0);
    await until(async () => (await second.readiness()) === 200, 5_000, "readiness");
  });
});

describe("a pool whose backends are all drained, with a fallback", () => {
  it("serves its bound clients still, and all others by the fallback; no request fails when the last one goes", async () => {
    const [spare, ...own] = backends;
    if (spare === undefined) throw new Error("no backend");
    const listed = (each: readonly BackendProcess[]) => ({
      type: "static",
      endpoints: each.map(({ id, port }) => ({ id, address: `127.0.0.1:${port}` })),
    });
    const whole = config({ discovery: listed(own), fallback: "spare" });
    whole.pools.push({ name: "spare", discovery: listed([spare]) } as unknown as (typeof whole.pools)[0]);
    const sidecar = await stage.sidecar(whole);
    const { backend: bound } = await ask(sidecar.port(), "/work?user=ann");
    const admin = new AdminClient(sidecar.grpc, credentials.createInsecure());
    stage.defer(() => admin.close());
    for (const { id } of own) {
      const request = SetStateRequest.fromPartial({
        pool: "web",
        backend: id,
        state: AdminState.ADMIN_STATE_DRAIN,
      });
      await new Promise<void>((resolve, reject) => {
        admin.setState(request, (error) => (error ? reject(error) : resolve()));
      });
    }
    const served = async (user: string) => (await ask(sidecar.port(), `/work?user=${user}`)).backend;
    expect([await served("ann"), await served("bob")]).toEqual([bound, spare.id]);
    for (const each of own) each.kill("SIGKILL");
    expect(await ask(sidecar.port(), "/work?user=ann")).toMatchObject({ status: 200, backend: spare.id });
  });
});
