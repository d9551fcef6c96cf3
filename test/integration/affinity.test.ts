import { afterEach, describe, expect, it } from "vitest";
import type { Backend } from "../../src/core/backend.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import { Affinity } from "../../src/proxy/affinity.js";
import { cookieConfig } from "../support/cookie-config.js";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.js";
import { endpoint, terms } from "../support/pool-fixture.js";
import type { RawClient } from "../support/raw-client.js";
import { answer, RecordingBackend } from "../support/recording-backend.js";

const COOKIE = cookieConfig({ httpOnly: true, value: "dynamic" });

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function aBackend(name: string): Promise<RecordingBackend> {
  const backend = await RecordingBackend.start();
  closers.push(() => backend.close());
  const reply = `HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${name}`;
  backend.script = () => answer(reply);
  return backend;
}

function endpointOf(name: string, backend: RecordingBackend): Endpoint {
  return endpoint(name, { host: "127.0.0.1", port: backend.port });
}

/** A browser: one connection, and the cookie it was last given. */
class Visitor {
  readonly #client: RawClient;
  cookie: string | undefined;
  statuses: number[] = [];
  #seen = 0;

  constructor(client: RawClient) {
    this.#client = client;
  }

  /** Sends one request; answers the name of the backend, and whether a cookie was given. */
  async visit(method = "GET"): Promise<{ readonly by: string; readonly isGiven: boolean }> {
    const cookie = this.cookie === undefined ? "" : `Cookie: ${this.cookie}; app=1\r\n`;
    const length = method === "GET" ? "" : "Content-Length: 0\r\n";
    await this.#client.send(`${method} / HTTP/1.1\r\nHost: x\r\n${length}${cookie}\r\n`);
    const answerOf = (text: string) =>
      /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n([\s\S]+)$/.exec(text.slice(this.#seen));
    await this.#client.until((text) => answerOf(text) !== null);
    const [whole = "", status = "", by = ""] = answerOf(this.#client.text) ?? [];
    this.#seen = this.#client.text.length;
    this.statuses.push(Number(status));
    const given = /set-cookie: (SRV=[^;]*)/.exec(whole)?.[1];
    this.cookie = given ?? this.cookie;
    return { by, isGiven: given !== undefined };
  }
}

interface Scene {
  readonly proxy: HttpProxy;
  readonly backends: Readonly<Record<"a" | "b", RecordingBackend>>;
  readonly visitor: Visitor;
}

async function aScene(): Promise<Scene> {
  const backends = { a: await aBackend("a"), b: await aBackend("b") };
  const proxy = await startHttpProxy({
    backends: [],
    affinity: (pool, clock) => {
      const affinity = new Affinity({ algorithm: "roundrobin" }, COOKIE, pool, clock);
      pool.subscribe(() => affinity.membershipChanged());
      return affinity;
    },
  });
  closers.push(() => proxy.close());
  proxy.pool.apply({ endpoints: [endpointOf("a", backends.a), endpointOf("b", backends.b)] }, 0);
  return { proxy, backends, visitor: new Visitor(proxy.dial()) };
}

function backendNamed({ proxy }: Scene, name: string): Backend {
  const found = [...proxy.pool.backends()].find(({ endpoint: { id } }) => id === name);
  if (found === undefined) throw new Error(`no backend ${name}`);
  return found;
}

function otherThan(name: string): "a" | "b" {
  return name === "a" ? "b" : "a";
}

describe("a client with a cookie", () => {
  it("stays with its backend through weight 0 and drain, and back, and is given no other cookie", async () => {
    const scene = await aScene();
    const { proxy, visitor } = scene;
    const first = await visitor.visit();
    expect(first.isGiven).toBe(true);
    const own = backendNamed(scene, first.by);
    const stays = { by: first.by, isGiven: false };
    expect(await visitor.visit()).toEqual(stays);

    proxy.pool.setWeight(own, { kind: "weight", weight: 0 }, terms(), 1);
    expect([await visitor.visit(), await visitor.visit("POST")]).toEqual([stays, stays]);
    const stranger = new Visitor(proxy.dial());
    expect((await stranger.visit()).by).toBe(otherThan(first.by));
    proxy.pool.setWeight(own, undefined, terms(), 2);

    proxy.pool.setAdmin(own, "drain", terms(), 3);
    expect([await visitor.visit(), (await new Visitor(proxy.dial()).visit()).by]).toEqual([
      stays,
      otherThan(first.by),
    ]);
    proxy.pool.setAdmin(own, "ready", terms(), 4);
    expect(await visitor.visit()).toEqual(stays);
    expect(new Set([...visitor.statuses, ...stranger.statuses])).toEqual(new Set([200]));
    // The application sees its own cookie alone.
    const sent = scene.backends[first.by as "a" | "b"].requests.map(({ head }) => head).join("\r\n");
    expect([sent.includes("SRV="), sent.includes("cookie: app=1")]).toEqual([false, true]);
  });

  it("is balanced anew with a new cookie when its backend is in maintenance, and stays there", async () => {
    const scene = await aScene();
    const { proxy, visitor } = scene;
    const first = await visitor.visit();
    const own = backendNamed(scene, first.by);
    proxy.pool.setAdmin(own, "maint", terms(), 1);
    const other = otherThan(first.by);
    expect(await visitor.visit()).toEqual({ by: other, isGiven: true });
    proxy.pool.setAdmin(own, "ready", terms(), 2);
    expect([await visitor.visit(), await visitor.visit()]).toEqual([
      { by: other, isGiven: false },
      { by: other, isGiven: false },
    ]);
    await proxy.settled();
    expect(proxy.records.map(({ cookieState }) => cookieState)).toEqual(["NI", "DI", "VN", "VN"]);
  });

  it("goes elsewhere with a new cookie, and no failed request, when its backend refuses connections", async () => {
    const scene = await aScene();
    const { proxy, backends, visitor } = scene;
    const first = await visitor.visit();
    await backends[first.by as "a" | "b"].close();
    expect(await visitor.visit("POST")).toEqual({ by: otherThan(first.by), isGiven: true });
    expect(await visitor.visit()).toEqual({ by: otherThan(first.by), isGiven: false });
    expect(visitor.statuses).toEqual([200, 200, 200]);
    await proxy.settled();
    expect(proxy.records.map(({ cookieState }) => cookieState)).toEqual(["NI", "VI", "VN"]);
  });

  it("lives through a rolling replacement of all backends without a failed request", async () => {
    const scene = await aScene();
    const { proxy, visitor } = scene;
    let listed: [string, RecordingBackend][] = [
      ["a", scene.backends.a],
      ["b", scene.backends.b],
    ];
    let moves = 0;
    for (let round = 0; round < 10; round++) {
      const name = `n${round}`;
      listed.push([name, await aBackend(name)]);
      const [gone] = listed;
      listed = listed.slice(1);
      proxy.pool.apply({ endpoints: listed.map(([id, backend]) => endpointOf(id, backend)) }, round);
      for (let visit = 0; visit < 3; visit++) {
        const { by, isGiven } = await visitor.visit(visit === 1 ? "POST" : "GET");
        expect(by).not.toBe(gone?.[0]);
        if (isGiven) moves++;
      }
      await gone?.[1].close();
    }
    expect([visitor.statuses.length, new Set(visitor.statuses)]).toEqual([30, new Set([200])]);
    // Moved only when its own backend left.
    expect(moves).toBeLessThanOrEqual(10);
    await proxy.settled();
  });
});

describe("clients of a stick table", () => {
  it("come back to who served their key first, through a drain, until that one is down", async () => {
    const backends = { a: await aBackend("a"), b: await aBackend("b") };
    const proxy = await startHttpProxy({
      backends: [],
      affinity: (pool, clock) =>
        new Affinity(
          { algorithm: "roundrobin" },
          { type: "table", on: "source", name: "", size: 100, expireMs: 60_000 },
          pool,
          clock,
        ),
    });
    closers.push(() => proxy.close());
    proxy.pool.apply({ endpoints: [endpointOf("a", backends.a), endpointOf("b", backends.b)] }, 0);
    const { by } = await new Visitor(proxy.dial()).visit();
    const own = [...proxy.pool.backends()].find(({ endpoint: { id } }) => id === by) as Backend;
    proxy.pool.setAdmin(own, "drain", terms(), 1);
    const visits = [];
    for (let visit = 0; visit < 4; visit++) visits.push((await new Visitor(proxy.dial()).visit()).by);
    expect(visits).toEqual([by, by, by, by]);
    proxy.pool.setAdmin(own, "maint", terms(), 2);
    expect((await new Visitor(proxy.dial()).visit()).by).toBe(otherThan(by));
    proxy.pool.setAdmin(own, "ready", terms(), 3);
    expect((await new Visitor(proxy.dial()).visit()).by).toBe(otherThan(by));
    await proxy.settled();
  });
});
