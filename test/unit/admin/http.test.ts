import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { AdminHttp } from "../../../src/admin/http.js";
import type { SocketAddressConfig } from "../../../src/config/model.js";
import { endpointOf, poolOf, Scene, silentLog } from "./scene.js";

const LOOPBACK: SocketAddressConfig = { kind: "tcp", host: "127.0.0.1", port: 0 };
const folder = mkdtempSync(join(tmpdir(), "pilotfish-http-"));
afterAll(() => rmSync(folder, { recursive: true }));
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

async function start(scene: Scene, address = LOOPBACK, probeOnly = false): Promise<string> {
  const http = new AdminHttp(scene, address, { probeOnly }, silentLog);
  const bound = await http.start();
  undo.push(() => http.stop());
  return `http://${bound.address}`;
}

describe("AdminHttp", () => {
  it("is alive, and ready while the proxy is", async () => {
    const scene = new Scene();
    const base = await start(scene);
    expect(await (await fetch(`${base}/healthz`)).text()).toBe("ok\n");
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    scene.proxy = { ...scene.proxy, state: "starting", reason: "waiting for the first list of pool web" };
    const starting = await fetch(`${base}/readyz?verbose`);
    expect(starting.status).toBe(503);
    expect(await starting.text()).toBe("starting: waiting for the first list of pool web\n");
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    scene.drainProxy(undefined);
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
  });

  it("serves its own metrics and those of the process", async () => {
    const scene = new Scene();
    scene.add(poolOf("web"), [endpointOf("a", 1)]);
    const answer = await fetch(`${await start(scene)}/metrics`);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    expect(text).toContain('pilotfish_pool_servers{pool="web"} 1\n');
    expect(text).toMatch(/^process_cpu_seconds_total [0-9.]+$/m);
    expect(text.endsWith("\n")).toBe(true);
  });

  it("answers HEAD without a body and nothing but GET and HEAD", async () => {
    const base = await start(new Scene());
    for (const path of ["/", "/metrics", "/readyz"]) {
      const head = await fetch(base + path, { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([200, ""]);
      const post = await fetch(base + path, { method: "POST", body: "x" });
      expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
  });

  it("shows how to call the API, except on the probe address", async () => {
    const scene = new Scene();
    const index = await (await fetch(await start(scene))).text();
    expect(index).toContain("grpcurl -plaintext 127.0.0.1:7070 pilotfish.admin.v1.Admin/ListPools\n");
    scene.proxy = { ...scene.proxy, grpcAddress: "unix:/run/pilotfish.sock" };
    expect(await (await fetch(await start(scene))).text()).toContain(
      "grpcurl -plaintext -unix /run/pilotfish.sock list",
    );
    const probe = await (await fetch(await start(scene, LOOPBACK, true))).text();
    expect(probe).toContain("/metrics");
    expect(probe).not.toContain("grpcurl");
  });

  it("sends a large answer no faster than it is read, and ends when the reader leaves", async () => {
    const scene = new Scene();
    scene.add(
      poolOf("web"),
      Array.from({ length: 3000 }, (_, index) => endpointOf(`backend-${index}`, index + 1)),
    );
    const base = new URL(await start(scene));
    const socket = connect(Number(base.port), base.hostname);
    await new Promise<void>((resolve) => {
      socket.once("data", () => {
        socket.pause();
        resolve();
      });
      socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    });
    socket.destroy();
    expect((await fetch(`${base.origin}/healthz`)).status).toBe(200);
    expect((await (await fetch(`${base.origin}/metrics`)).text()).length).toBeGreaterThan(5_000_000);
  });
});

describe("a unix socket", () => {
  const path = join(folder, "admin.sock");
  afterEach(() => rmSync(path, { force: true }));

  function get(): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: path, path: "/healthz", agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      call.once("error", reject);
      call.end();
    });
  }

  it("belongs to its owner unless a mode is given", async () => {
    await start(new Scene(), { kind: "unix", path, mode: undefined });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await get()).toBe(200);
    await undo.pop()?.();
    await start(new Scene(), { kind: "unix", path, mode: 0o660 });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  it("takes the place of one that a process left behind, but not of one that answers", async () => {
    await start(new Scene(), { kind: "unix", path, mode: undefined });
    const second = new AdminHttp(
      new Scene(),
      { kind: "unix", path, mode: undefined },
      { probeOnly: false },
      silentLog,
    );
    await expect(second.start()).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect(await get()).toBe(200);
    await undo.pop()?.();
    await leaveSocketBehind(path);
    await start(new Scene(), { kind: "unix", path, mode: undefined });
    expect(await get()).toBe(200);
  });

  it("does not touch a file of another kind", async () => {
    writeFileSync(path, "precious");
    await expect(start(new Scene(), { kind: "unix", path, mode: undefined })).rejects.toMatchObject({
      code: "ENOTSOCK",
    });
  });
});

/** A socket file whose server is gone without having removed it. */
async function leaveSocketBehind(path: string): Promise<void> {
  const aside = `${path}.aside`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(aside, resolve));
  renameSync(aside, path);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
