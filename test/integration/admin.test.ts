import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ClientReadableStream, credentials, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { AdminClient, type WatchEventsResponse } from "../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { AdminServer } from "../../src/admin/server.js";
import type { AdminGrpcConfig } from "../../src/config/model.js";
import type { Pool } from "../../src/core/pool.js";
import {
  ADMIN,
  AdminStream,
  callAdmin,
  type Json,
  plain,
  refusalOf,
  runClient,
} from "../support/admin-client.js";
import { backendOf, endpointOf, poolOf, Scene, silentLog } from "../unit/admin/scene.js";

// Everything here goes through a client that learns the API by reflection alone.
const tls = fileURLToPath(new URL("../unit/admin/tls/", import.meta.url));
const LOOPBACK: AdminGrpcConfig = {
  address: { kind: "tcp", host: "127.0.0.1", port: 0 },
  tls: undefined,
  tokenFile: undefined,
  insecure: false,
};

const folder = mkdtempSync(join(tmpdir(), "pilotfish-admin-"));
const undo: (() => Promise<void>)[] = [];
let scene: Scene;
let web: Pool;

beforeEach(() => {
  scene = new Scene();
  web = scene.add(poolOf("web"), [endpointOf("web-1", 81), endpointOf("web-2", 82)]);
  scene.add(poolOf("api"), [endpointOf("api-1", 91)]);
});
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(
  change: Partial<AdminGrpcConfig> = {},
): Promise<{ server: AdminServer; address: string }> {
  const server = new AdminServer(scene, { ...LOOPBACK, ...change }, silentLog);
  const { address } = await server.start();
  undo.push(() => server.stop(100));
  return { server, address };
}

/** A stream that ends with its test. */
function openStream(address: string, method: string, request: Json = {}): AdminStream {
  const stream = new AdminStream(address, method, request);
  undo.push(() => stream.stop());
  return stream;
}

function pick(avoid: readonly string[] = []): string | undefined {
  const lease = web.acquire(
    avoid.map((id) => backendOf(web, id)),
    scene.clock.nowMs(),
  );
  lease?.release("success", 200, scene.clock.nowMs());
  return lease?.backend.endpoint.id;
}

describe("reflection", () => {
  it("lets a client with no proto file list services and methods", async () => {
    const { address } = await start();
    const services = await runClient(plain("--list-services", `http://${address}`));
    expect(services.stdout.trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      ADMIN,
    ]);
    const methods = await runClient(plain("--list-methods", `http://${address}`));
    expect(methods.stdout).toContain(`${ADMIN}/ExplainPick`);
    expect(methods.stdout.split("\n").filter((line) => line.startsWith(ADMIN))).toHaveLength(21);
  });

  it.each(["grpc-v1", "grpc-v1alpha"])("speaks %s", async (protocol) => {
    const { address } = await start();
    const args = plain("--reflect-protocol", protocol, "-d", "{}", `http://${address}/${ADMIN}/GetInfo`);
    expect(JSON.parse((await runClient(args)).stdout)).toMatchObject({
      version: "1.2.3",
      state: "PROXY_STATE_READY",
    });
  });
});

describe("health", () => {
  it("follows the state of the proxy", async () => {
    const { server, address } = await start();
    const check = async (service: string) => {
      const url = `http://${address}/grpc.health.v1.Health/Check`;
      const ended = await runClient(plain("-d", JSON.stringify({ service }), url));
      return ended.code === 0
        ? (JSON.parse(ended.stdout) as Json).status
        : (JSON.parse(ended.stderr) as Json).code;
    };
    expect(await check("")).toBe("SERVING");
    expect(await check(ADMIN)).toBe("SERVING");
    expect(await check("no.Service")).toBe("not_found");
    server.announce("draining");
    expect(await check("")).toBe("NOT_SERVING");
  });
});

describe("unary calls", () => {
  it("change the weight for the very next pick", async () => {
    const { address } = await start();
    const answer = await callAdmin(address, "SetWeight", { pool: "web", backend: "web-1", weight: 0 });
    expect(answer).toMatchObject({
      backends: [{ id: "web-1", weight: { discovered: 1, override: { weight: 0 } } }],
    });
    expect([pick(), pick(), pick()]).toEqual(["web-2", "web-2", "web-2"]);
    await callAdmin(address, "SetWeight", { pool: "web", backend: "web-1", clear: true });
    expect(pick()).toBe("web-1");
  });

  it("take a backend out and back, eject and return it", async () => {
    const { address } = await start();
    const names = { pool: "web", backend: "10.0.0.1:81" };
    await callAdmin(address, "SetState", { ...names, state: "ADMIN_STATE_MAINT", reason: "disk" });
    expect([pick(), pick()]).toEqual(["web-2", "web-2"]);
    await callAdmin(address, "SetState", { ...names, state: "ADMIN_STATE_READY" });
    const { backends } = await callAdmin(address, "EjectBackend", { ...names, ttl: "60s" });
    expect(backends).toMatchObject([{ detection: { state: "DETECTION_STATE_EJECTED", cause: "manual" } }]);
    expect([pick(), pick()]).toEqual(["web-2", "web-2"]);
    expect(await refusalOf(address, "EjectBackend", { pool: "web", backend: "web-2" })).toMatchObject({
      code: "failed_precondition",
    });
    await callAdmin(address, "UnejectBackend", names);
    expect(pick()).toBe("web-1");
  });

  it("show pools, backends, statistics, discovery and decisions", async () => {
    const { address } = await start();
    pick();
    expect(await callAdmin(address, "ListPools")).toMatchObject({
      pools: [{ name: "api" }, { name: "web" }],
      totalSize: 2,
    });
    const page = await callAdmin(address, "ListBackends", { pageSize: 2 });
    expect(page).toMatchObject({ totalSize: 3, backends: [{ id: "api-1" }, { id: "web-1" }] });
    const rest = await callAdmin(address, "ListBackends", { pageSize: 2, pageToken: page.nextPageToken });
    expect(rest).toMatchObject({ backends: [{ id: "web-2" }] });
    expect(rest.nextPageToken).toBeUndefined();
    expect(await callAdmin(address, "GetStats", { pool: "web" })).toMatchObject({
      pools: [{ counters: { served: 1 } }],
    });
    expect(await callAdmin(address, "ResetStats", {})).toMatchObject({ pools: ["web", "api"] });
    const [stats] = (await callAdmin(address, "GetStats", { pool: "web" })).pools as { counters: Json }[];
    expect(stats?.counters.served).toBeUndefined();
    expect(await callAdmin(address, "GetDiscovery", { pool: "web" })).toMatchObject({
      pools: [{ sources: [{ state: "SOURCE_STATE_STALE", details: { index: "17" } }] }],
    });
    const trace = await callAdmin(address, "ExplainPick", { pool: "web" });
    expect(trace).toMatchObject({
      algorithm: "leastconn",
      totalCandidates: 2,
      candidates: [{ picked: true, load: 0 }, { load: 0 }],
    });
    expect(trace.picked).toContain(pick() ?? "nobody");
  });

  it("steer the process", async () => {
    const { address } = await start();
    expect(await callAdmin(address, "SetLogLevel", { level: "LOG_LEVEL_DEBUG" })).toEqual({
      level: "LOG_LEVEL_DEBUG",
      previous: "LOG_LEVEL_INFO",
    });
    expect(scene.level).toBe("debug");
    expect(await callAdmin(address, "CheckConfig", { text: "nmae: x" })).toMatchObject({
      problems: [{ line: 3, column: 5 }],
    });
    expect(await callAdmin(address, "CheckConfig", { text: "version: 1" })).toEqual({ valid: true });
    expect(await callAdmin(address, "DrainProxy", { deadline: "2.5s" })).toMatchObject({
      state: "PROXY_STATE_DRAINING",
    });
    expect(scene.drained).toEqual([2500]);
  });

  it.each([
    [
      "SetWeight",
      { pool: "wbe", backend: "web-1", weight: 1 },
      "not_found",
      'no pool "wbe"; did you mean web?',
    ],
    ["SetWeight", { backend: "web-3", weight: 1 }, "not_found", "did you mean web-1 or web-2?"],
    ["SetWeight", { backend: "web-1" }, "invalid_argument", "change: one of"],
    ["SetWeight", { backend: "web-1", weight: 257 }, "invalid_argument", "weight: must be 0 to 256"],
    ["SetState", { backend: "web-1" }, "invalid_argument", "state: must be"],
    ["ListPools", { pageToken: "x" }, "invalid_argument", "page_token: must be"],
    ["UnejectBackend", { backend: "web-1" }, "failed_precondition", "is not ejected"],
    ["WatchEvents", { fromSequence: 999 }, "failed_precondition", "lies ahead"],
    ["WatchStats", { pool: "nobody" }, "not_found", "ListPools shows all 2"],
    ["DrainBackend", { backend: "web-1", cutAtDeadline: true }, "invalid_argument", "cut_at_deadline: needs"],
  ] as const)("%s refuses with a status and a sentence: case %#", async (method, request, code, sentence) => {
    const { address } = await start();
    const answer = await refusalOf(address, method, request);
    expect(answer.code).toBe(code);
    expect(answer.message).toContain(sentence);
  });
});

describe("limits", () => {
  it("refuse a message of more than a mebibyte", async () => {
    const { address } = await start();
    const request = join(folder, "large.json");
    writeFileSync(request, JSON.stringify({ text: "x".repeat(1024 * 1024) }));
    const ended = await runClient(plain("-d", `@${request}`, `http://${address}/${ADMIN}/CheckConfig`));
    expect(JSON.parse(ended.stderr)).toMatchObject({ code: "resource_exhausted" });
  });

  it("refuse the 65th stream and take one again when another has gone", async () => {
    const { address } = await start();
    const client = new AdminClient(address, credentials.createInsecure());
    undo.push(async () => client.close());
    const open = () => client.watchEvents({ pool: "", backend: "" });
    const streams = Array.from({ length: 64 }, open);
    for (const stream of streams) {
      stream.on("error", () => {});
      await once(stream, "data");
    }
    const [error] = await once(open(), "error");
    expect(error).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: "64 streams are open, which is the limit",
    });
    streams[0]?.cancel();
    await expect.poll(() => firstAnswer(open())).toBe("present");
    for (const stream of streams) stream.cancel();
  });
});

/** What a stream begins with: its content, or the status it is refused with. */
async function firstAnswer(stream: ClientReadableStream<WatchEventsResponse>): Promise<string> {
  try {
    const [message] = (await once(stream, "data")) as [WatchEventsResponse];
    return message.content?.$case ?? "";
  } catch (error) {
    return String(error);
  } finally {
    stream.on("error", () => {});
    stream.cancel();
  }
}

describe("streams", () => {
  it("DrainBackend reports what is left until nothing is, and the drain stays", async () => {
    const { address } = await start();
    const lease = web.acquire([backendOf(web, "web-2")], scene.clock.nowMs());
    const stream = openStream(address, "DrainBackend", { pool: "web", backend: "web-1", deadline: "60s" });
    expect(await stream.next()).toMatchObject({
      progress: "DRAIN_PROGRESS_DRAINING",
      inFlight: 1,
      requests: 1,
    });
    expect([pick(), pick()]).toEqual(["web-2", "web-2"]);
    lease?.release("success", 200, scene.clock.nowMs());
    expect(await stream.until(({ progress }) => progress !== "DRAIN_PROGRESS_DRAINING")).toMatchObject({
      progress: "DRAIN_PROGRESS_EMPTY",
    });
    expect(await stream.ended()).toBe(0);
    expect(pick()).toBe("web-2");
  });

  it("DrainBackend leaves the drain in force when the client goes", async () => {
    const { address } = await start();
    web.acquire([backendOf(web, "web-2")], scene.clock.nowMs());
    const stream = openStream(address, "DrainBackend", { pool: "web", backend: "web-1" });
    await stream.next();
    await stream.stop();
    expect(await callAdmin(address, "ListBackends", { pool: "web", backend: "web-1" })).toMatchObject({
      backends: [{ admin: { state: "ADMIN_STATE_DRAIN" } }],
    });
  });

  it("WatchEvents tells the state, then what happens, and resumes", async () => {
    const { address } = await start();
    const stream = openStream(address, "WatchEvents", { pool: "web" });
    expect(await stream.next()).toMatchObject({
      present: { pools: [{ name: "web" }], backends: [{ id: "web-1" }, { id: "web-2" }], complete: true },
    });
    web.setCheck(backendOf(web, "web-1"), "down", "connection refused", scene.clock.nowMs());
    const event = await stream.next();
    expect(event).toMatchObject({
      event: { id: "web-1", stateChanged: { fact: "FACT_CHECK", from: "unchecked", to: "down" } },
    });
    const resumed = openStream(address, "WatchEvents", { pool: "web", fromSequence: event?.sequence });
    expect(await resumed.next()).toEqual(event);
  });

  it("WatchStats sends everything, then changes", async () => {
    const { address } = await start();
    const stream = openStream(address, "WatchStats", { interval: "0.1s" });
    expect(await stream.next()).toMatchObject({
      sequence: "1",
      complete: true,
      pools: [{ pool: "web" }, { pool: "api" }],
    });
    pick();
    const changed = await stream.until(({ pools }) => pools !== undefined);
    expect(changed).toMatchObject({ pools: [{ pool: "web", counters: { served: 1 }, members: [{}] }] });
    expect(changed.complete).toBeUndefined();
  });

  it("hold nothing back for a reader that does not read, and name what it missed", async () => {
    scene = new Scene({ journalCapacity: 100 });
    const pool = scene.add(poolOf("web"), [endpointOf("web-1", 81), endpointOf("web-2", 82)]);
    const { address } = await start();
    const client = new AdminClient(address, credentials.createInsecure());
    undo.push(async () => client.close());
    const stream = client.watchEvents({ pool: "", backend: "" });
    await once(stream, "data");
    stream.pause();
    for (let flip = 0; flip < 10_000; flip++) {
      const to = flip % 2 === 0 ? "down" : "up";
      pool.setCheck(backendOf(pool, "web-1"), to, "x".repeat(200), scene.clock.nowMs());
      // The server gets to write between the events.
      if (flip % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const last = BigInt(scene.journal.nextSequence - 1);
    let expected = 4n;
    let gaps = 0;
    for await (const message of stream as AsyncIterable<WatchEventsResponse>) {
      if (message.content?.$case === "gap") {
        gaps++;
        expect(message.content.value.first).toBe(expected);
      } else {
        expect(message.sequence).toBe(expected);
      }
      expected = message.sequence + 1n;
      if (message.sequence === last) break;
    }
    expect(gaps).toBeGreaterThan(0);
    stream.on("error", () => {});
    stream.cancel();
  });

  it("end when the server stops, and so does the server", async () => {
    const { server, address } = await start();
    const stream = openStream(address, "WatchEvents");
    await stream.next();
    await server.stop(2000);
    expect(await stream.ended()).not.toBe(0);
    await expect(dial(address)).rejects.toThrow("ECONNREFUSED");
  });
});

describe("the door", () => {
  const tokenFile = join(folder, "token");

  it("is shut without the token, for reflection and health too, and follows the file", async () => {
    writeFileSync(tokenFile, "secret-1\n");
    const { address } = await start({ tokenFile });
    const list = (...args: readonly string[]) =>
      runClient(plain(...args, "--list-services", `http://${address}`));
    expect((await list()).stderr).toContain("not authenticated");
    expect((await list("--reflect-header", "authorization: Bearer secret-2")).code).not.toBe(0);
    expect((await list("--reflect-header", "authorization: Bearer secret-1")).stdout).toContain(ADMIN);
    const schema = fileURLToPath(new URL("../../proto", import.meta.url));
    const ask = (...args: readonly string[]) =>
      runClient(plain("--schema", schema, ...args, "-d", "{}", `http://${address}/${ADMIN}/GetInfo`));
    expect(JSON.parse((await ask()).stderr)).toMatchObject({ code: "unauthenticated" });
    expect((await ask("-H", "authorization: bearer secret-1")).code).toBe(0);
    writeFileSync(tokenFile, "secret-2");
    expect((await ask("-H", "authorization: Bearer secret-1")).code).not.toBe(0);
    expect((await ask("-H", "authorization: Bearer secret-2")).code).toBe(0);
    rmSync(tokenFile);
    expect((await ask("-H", "authorization: Bearer secret-2")).code).toBe(0);
  });

  it.each(["", "  \n", "two words"])("does not open with the token file %j", async (text) => {
    writeFileSync(tokenFile, text);
    await expect(start({ tokenFile })).rejects.toThrow("must hold one token");
  });

  it("speaks TLS, and asks for a client certificate where one is wanted", async () => {
    const certFile = join(tls, "cert.pem");
    const keyFile = join(tls, "key.pem");
    const one = await start({ tls: { certFile, keyFile, clientCaFile: undefined } });
    const secure = (address: string, ...more: readonly string[]) =>
      runClient([
        "curl",
        "--protocol",
        "grpc",
        "--cacert",
        certFile,
        ...more,
        "-d",
        "{}",
        `https://${address}/${ADMIN}/GetInfo`,
      ]);
    expect(JSON.parse((await secure(one.address)).stdout)).toMatchObject({ version: "1.2.3" });
    expect((await runClient(plain("--list-services", `http://${one.address}`))).code).not.toBe(0);
    const two = await start({ tls: { certFile, keyFile, clientCaFile: certFile } });
    expect((await secure(two.address)).code).not.toBe(0);
    expect((await secure(two.address, "--cert", certFile, "--key", keyFile)).code).toBe(0);
  });

  it("stands at a unix socket too", async () => {
    const path = join(folder, "admin.sock");
    const { address } = await start({ address: { kind: "unix", path, mode: undefined } });
    expect(address).toBe(`unix:${path}`);
    const ended = await runClient(
      plain("--unix-socket", path, "-d", "{}", `http://localhost/${ADMIN}/GetInfo`),
    );
    expect(JSON.parse(ended.stdout)).toMatchObject({ pid: 42 });
  });

  it("survives those who knock and speak nonsense", async () => {
    const { address } = await start({
      tls: { certFile: join(tls, "cert.pem"), keyFile: join(tls, "key.pem"), clientCaFile: undefined },
    });
    const plainDoor = await start();
    for (const target of [address, plainDoor.address]) {
      const socket = await dial(target);
      socket.write("GET / HTTP/1.1\r\n\r\n".repeat(10));
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
      (await dial(target)).resetAndDestroy();
    }
    expect(await callAdmin(plainDoor.address, "GetInfo")).toMatchObject({ version: "1.2.3" });
  });
});

function dial(address: string): Promise<ReturnType<typeof connect>> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    socket.once("connect", () => {
      socket.off("error", reject);
      // What the other side does to it is not the point.
      socket.on("error", () => {});
      socket.resume();
      resolve(socket);
    });
    socket.once("error", reject);
  });
}
