import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import Consul from "consul";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningRegistry } from "../../support/consul.js";
import { call, type RegistryAnswer } from "../../support/registry-client.js";
import { targets } from "./targets.js";

interface Instance {
  readonly Service: { readonly ID: string; readonly Port: number; readonly Weights: unknown };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string; readonly Output: string }[];
}

describe.each(targets)("$name", ({ isMissing, start }) => {
  describe.skipIf(isMissing)("keeps the contract", () => {
    let registry: RunningRegistry;
    let url: string;

    beforeAll(async () => {
      registry = await start();
      url = registry.url;
    });
    afterAll(async () => {
      await registry?.stop();
    });

    const get = (path: string) => call(url, "GET", path);
    const put = (path: string, body?: unknown) => call(url, "PUT", path, body);
    const instances = (answer: RegistryAnswer) => answer.json as readonly Instance[];
    const ids = (answer: RegistryAnswer) => instances(answer).map((instance) => instance.Service.ID);

    /** Asks until the answer is as wanted, blocking on the server's own index in between. */
    async function until(
      path: string,
      isWanted: (answer: RegistryAnswer) => boolean,
    ): Promise<RegistryAnswer> {
      let answer = await get(path);
      for (let round = 0; !isWanted(answer) && round < 20; round += 1) {
        answer = await get(`${path}?index=${answer.index}&wait=5s`);
      }
      return answer;
    }

    /** Starts a blocking query and resolves once the server holds it: a later request was answered before it. */
    async function block(path: string, index: number | undefined, wait: string) {
      let isOver = false;
      const answer = get(`${path}${path.includes("?") ? "&" : "?"}index=${index}&wait=${wait}`).finally(
        () => {
          isOver = true;
        },
      );
      for (let round = 0; round < 5; round += 1) await get("status/leader");
      return { answer, isOver: () => isOver };
    }

    describe("for a blocking query on a service", () => {
      it("wakes when an instance joins, changes its status and leaves", async () => {
        await put("agent/service/register", { ID: "w1", Name: "wake", Port: 1 });
        let { index } = await get("health/service/wake");
        const changes: readonly (readonly [string, unknown, readonly string[]])[] = [
          ["agent/service/register", { ID: "w2", Name: "wake", Port: 2, Check: { TTL: "60s" } }, ["w1"]],
          ["agent/check/pass/service:w2", undefined, ["w1", "w2"]],
          ["agent/check/fail/service:w2", undefined, ["w1"]],
          ["agent/service/maintenance/w1?enable=true", undefined, []],
          ["agent/service/maintenance/w1?enable=false", undefined, ["w1"]],
          ["agent/service/deregister/w1", undefined, []],
        ];
        for (const [path, body, passing] of changes) {
          const blocked = await block("health/service/wake?passing", index, "10s");
          expect(blocked.isOver()).toBe(false);
          await put(path, body);
          const answer = await blocked.answer;
          expect(ids(answer)).toEqual(passing);
          expect(answer.index).toBeGreaterThan(index ?? 0);
          index = answer.index;
        }
        await put("agent/service/deregister/w2");
      });

      it("comes back with the same index when the wait is over, a sixteenth later at most", async () => {
        await put("agent/service/register", { Name: "calm" });
        const { index } = await get("health/service/calm");
        const startedMs = performance.now();
        const answer = await get(`health/service/calm?index=${index}&wait=200ms`);
        const tookMs = performance.now() - startedMs;
        expect(answer.index).toBe(index);
        expect(ids(answer)).toEqual(["calm"]);
        expect(tookMs).toBeGreaterThan(195);
        expect(tookMs).toBeLessThan(1000);
        await put("agent/service/deregister/calm");
      });

      it("blocks on an index from the future too", async () => {
        const startedMs = performance.now();
        await get("health/service/consul?index=999999999&wait=150ms");
        expect(performance.now() - startedMs).toBeGreaterThan(145);
      });

      it.each(["index=0&wait=10s", "wait=10s", "index=&wait=10s", "index=1&wait=10s"])(
        "answers at once to %s",
        async (query) => {
          const startedMs = performance.now();
          const answer = await get(`health/service/consul?${query}`);
          expect(answer.status).toBe(200);
          expect(performance.now() - startedMs).toBeLessThan(1000);
        },
      );

      it("is not woken by other services, by the same registration again or by an output alone", async () => {
        const own = { Name: "quiet", Port: 1, Check: { TTL: "60s" } };
        await put("agent/service/register", own);
        await put("agent/check/pass/service:quiet?note=one");
        const { index } = await get("health/service/quiet");
        const blocked = await block("health/service/quiet", index, "400ms");
        await put("agent/service/register", { Name: "noise" });
        await put("agent/service/register", own);
        await put("agent/check/pass/service:quiet?note=two");
        await put("agent/service/deregister/noise");
        await get("health/service/quiet");
        expect(blocked.isOver()).toBe(false);
        const answer = await blocked.answer;
        expect(answer.index).toBe(index);
        const outputs = instances(answer)[0]?.Checks.map((check) => check.Output);
        expect(outputs).toContain("one");
        // The agent itself knows the new output at once.
        const checks = (await get("agent/checks")).json as Record<string, { readonly Output: string }>;
        expect(checks["service:quiet"]?.Output).toBe("two");
        await put("agent/service/deregister/quiet");
      });

      it("waits for a service that does not exist yet", async () => {
        // After any service vanished, a missing one no longer moves with the whole catalog.
        await put("agent/service/register", { Name: "vanishing" });
        await put("agent/service/deregister/vanishing");
        const { index, json } = await get("health/service/unborn");
        expect(json).toEqual([]);
        const blocked = await block("health/service/unborn", index, "10s");
        await put("agent/service/register", { Name: "unrelated" });
        await get("status/leader");
        expect(blocked.isOver()).toBe(false);
        await put("agent/service/register", { Name: "unborn" });
        expect(ids(await blocked.answer)).toEqual(["unborn"]);
        await put("agent/service/deregister/unborn");
        await put("agent/service/deregister/unrelated");
      });

      it("wakes every one of fifty waiting clients", async () => {
        const { index } = await get("health/service/crowd");
        const waiting = Array.from({ length: 50 }, () => get(`health/service/crowd?index=${index}&wait=10s`));
        await put("agent/service/register", { Name: "crowd" });
        const answers = await Promise.all(waiting);
        expect(answers.every((answer) => answer.status === 200)).toBe(true);
        await put("agent/service/deregister/crowd");
      });

      it("ends when its client goes away", async () => {
        const { index } = await get("health/service/consul");
        const leaving = new AbortController();
        const path = `health/service/consul?index=${index}&wait=10s`;
        const left = call(url, "GET", path, undefined, leaving.signal);
        await get("status/leader");
        leaving.abort();
        await expect(left).rejects.toThrow();
        expect((await get("health/service/consul")).status).toBe(200);
      });
    });

    describe("for other blocking queries", () => {
      afterAll(async () => {
        if (!isMissing) await put("agent/check/deregister/seen%20check");
      });

      it.each([
        ["catalog/services", "agent/service/register", { Name: "seen" }],
        ["health/state/any", "agent/check/register", { Name: "seen check", TTL: "60s" }],
        ["health/node/node1", "agent/check/pass/seen%20check", undefined],
        ["catalog/nodes", "catalog/register", { Node: "seen", Address: "10.0.0.1" }],
        ["kv/seen", "kv/seen", "1"],
        ["kv/seen", "kv/seen", "2"],
        ["kv/se?recurse", "kv/seen/below", "3"],
        ["kv/?keys", "kv/other", "4"],
      ])("wakes %s on %s", async (path, write, body) => {
        const { index } = await get(path);
        const blocked = await block(path, index, "10s");
        expect(blocked.isOver()).toBe(false);
        await put(write, body);
        expect((await blocked.answer).index).toBeGreaterThan(index ?? 0);
      });

      it("does not wake a key's watch for another key", async () => {
        await put("kv/mine", "1");
        const { index } = await get("kv/mine");
        const blocked = await block("kv/mine", index, "200ms");
        await put("kv/yours", "1");
        const answer = await blocked.answer;
        expect(answer.index).toBe(index);
      });

      it("wakes the watch of a prefix when a key below it is deleted", async () => {
        await put("kv/tree/leaf", "1");
        const { index } = await get("kv/tree?recurse");
        const blocked = await block("kv/tree?recurse", index, "10s");
        await call(url, "DELETE", "kv/tree/leaf");
        expect((await blocked.answer).status).toBe(404);
      });

      it("wakes a local service's watch by its content hash", async () => {
        await put("agent/service/register", { Name: "hashed", Port: 1 });
        const hash = (await get("agent/service/hashed")).headers.get("x-consul-contenthash");
        const waiting = get(`agent/service/hashed?hash=${hash}&wait=10s`);
        await get("status/leader");
        await put("agent/service/register", { Name: "hashed", Port: 2 });
        const answer = await waiting;
        expect(answer.json).toMatchObject({ Port: 2 });
        expect(answer.headers.get("x-consul-contenthash")).not.toBe(hash);
        await put("agent/service/deregister/hashed");
      });
    });

    describe("with checks of its own", () => {
      it("turns a check critical when its time to live is over, and back", async () => {
        await put("agent/service/register", { Name: "beat", Check: { TTL: "300ms", Status: "passing" } });
        const path = "health/checks/beat";
        const late = await until(path, (answer) => answer.text.includes("critical"));
        expect(late.text).toContain("TTL expired");
        await put("agent/check/pass/service:beat?note=back");
        expect((await get(path)).json).toMatchObject([{ Status: "passing", Output: "back" }]);
        const again = await until(path, (answer) => answer.text.includes("critical"));
        expect(again.text).toContain("TTL expired (last output before timeout follows): back");
        await put("agent/service/deregister/beat");
      });

      it("asks HTTP and TCP targets and words their verdicts", async () => {
        const web = createServer((request, response) => {
          response.statusCode = request.url === "/warn" ? 429 : request.url === "/bad" ? 500 : 200;
          response.end(`agent ${request.headers["user-agent"]} token ${request.headers["x-token"]}`);
        });
        const port = await listen(web);
        const tcp = createTcpServer((socket) => socket.destroy());
        const tcpPort = await listen(tcp);
        const target = `http://127.0.0.1:${port}`;
        const Interval = "1s";
        await put("agent/service/register", {
          Name: "probed",
          Checks: [
            { CheckID: "good", HTTP: `${target}/good`, Header: { "X-Token": ["t"] }, Interval },
            { CheckID: "warn", HTTP: `${target}/warn`, Interval },
            { CheckID: "bad", HTTP: `${target}/bad`, Interval, Status: "passing" },
            { CheckID: "gone", HTTP: "http://127.0.0.1:1/", Interval, Status: "passing" },
            { CheckID: "tcp", TCP: `127.0.0.1:${tcpPort}`, Interval },
            { CheckID: "tcp-gone", TCP: "127.0.0.1:1", Interval, Status: "passing" },
          ],
        });
        const verdicts = (answer: RegistryAnswer) =>
          (answer.json as readonly { CheckID: string; Status: string; Output: string }[]).filter(
            (check) => check.Output !== "",
          );
        const answer = await until("health/checks/probed", (seen) => verdicts(seen).length === 6);
        expect(Object.fromEntries(verdicts(answer).map((check) => [check.CheckID, check.Status]))).toEqual({
          good: "passing",
          warn: "warning",
          bad: "critical",
          gone: "critical",
          tcp: "passing",
          "tcp-gone": "critical",
        });
        const outputs = Object.fromEntries(verdicts(answer).map((check) => [check.CheckID, check.Output]));
        expect(outputs).toMatchObject({
          good: `HTTP GET ${target}/good: 200 OK Output: agent Consul Health Check token t`,
          tcp: `TCP connect 127.0.0.1:${tcpPort}: Success`,
          "tcp-gone": "dial tcp 127.0.0.1:1: connect: connection refused",
        });
        expect(outputs.gone).toBe(
          'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused',
        );
        await put("agent/service/deregister/probed");
        await Promise.all([close(web), close(tcp)]);
      });

      it("cuts a long output", async () => {
        await put("agent/service/register", { Name: "long", Check: { TTL: "60s" } });
        await put("agent/check/update/service:long", { Status: "passing", Output: "x".repeat(5000) });
        expect((await get("health/checks/long")).json).toMatchObject([
          { Output: `${"x".repeat(4096)} ... (captured 4096 of 5000 bytes)` },
        ]);
        await put("agent/service/deregister/long");
      });
    });

    describe("for the consul package", () => {
      it("registers, checks, lists and deregisters", async () => {
        const client = new Consul({ host: "127.0.0.1", port: registry.port });
        await client.agent.service.register({
          name: "packed",
          id: "p1",
          port: 8080,
          tags: ["a", "b"],
          meta: { k: "v" },
          check: { name: "beat", ttl: "60s", timeout: "1s" },
        });
        await client.agent.check.pass({ id: "service:p1", note: "ok" });
        const health = await client.health.service({ service: "packed", passing: true });
        expect(health).toMatchObject([
          {
            Service: { ID: "p1", Service: "packed", Port: 8080, Tags: ["a", "b"], Meta: { k: "v" } },
            Checks: [{ CheckID: "serfHealth" }, { CheckID: "service:p1", Status: "passing", Output: "ok" }],
          },
        ]);
        expect(await client.agent.service.list()).toHaveProperty("p1");
        expect(await client.catalog.service.list()).toHaveProperty(
          "packed",
          expect.arrayContaining(["a", "b"]),
        );
        await client.agent.service.maintenance({ id: "p1", enable: true, reason: "why" });
        expect(await client.health.service({ service: "packed", passing: true })).toEqual([]);
        await client.agent.service.deregister("p1");
        expect(await client.health.service({ service: "packed" })).toEqual([]);
        client.destroy();
      });

      it("reads and writes keys", async () => {
        const client = new Consul({ host: "127.0.0.1", port: registry.port });
        expect(await client.kv.set("pack/one", "1")).toBe(true);
        expect(await client.kv.set("pack/two", "2")).toBe(true);
        expect(await client.kv.get("pack/one")).toMatchObject({ Key: "pack/one", Value: "1" });
        expect(await client.kv.keys("pack/")).toEqual(["pack/one", "pack/two"]);
        expect(await client.kv.get("pack/none")).toBeUndefined();
        await client.kv.del({ key: "pack", recurse: true });
        expect(await client.kv.keys("").catch(() => [])).not.toContain("pack/one");
        client.destroy();
      });

      it("watches a service", async () => {
        const client = new Consul({ host: "127.0.0.1", port: registry.port });
        const watch = client.watch({ method: client.health.service, options: { service: "viewed" } });
        const seen = new Promise<number>((resolve, reject) => {
          watch.on("change", (data: readonly unknown[]) => {
            if (data.length === 0) void put("agent/service/register", { Name: "viewed" });
            else resolve(data.length);
          });
          watch.on("error", reject);
        });
        expect(await seen).toBe(1);
        watch.end();
        client.destroy();
        await put("agent/service/deregister/viewed");
      });

      it("tells an unknown service and the agent itself", async () => {
        const client = new Consul({ host: "127.0.0.1", port: registry.port });
        await expect(client.agent.check.pass("none")).rejects.toThrow(/does not have associated TTL/);
        expect(await client.status.leader()).toMatch(/^127\.0\.0\.1:\d+$/);
        expect(await client.agent.self()).toMatchObject({
          Config: { NodeName: "node1", Datacenter: "dc1", Server: true, Version: expect.any(String) },
          Member: { Name: "node1" },
        });
        expect(await client.agent.members()).toMatchObject([{ Name: "node1", Status: 1 }]);
        client.destroy();
      });
    });
  });
});

function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function close(server: Server | ReturnType<typeof createTcpServer>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
}
