import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Traffic } from "../../../../src/dev/demo/traffic.js";

/** Answers the n-th request by the n-th of the given ways, and all others by the last of them. */
type Way = (response: ServerResponse) => void;

const ok: Way = (response) => {
  response.writeHead(200, { "x-backend": "web1" });
  response.end("hello");
};
const failing: Way = (response) => {
  response.writeHead(500, { "x-backend": "web2" });
  response.end("out of order");
};
const refusing: Way = (response) => {
  response.writeHead(503);
  response.end("no backend\n");
};
const cutting: Way = (response) => {
  response.socket?.resetAndDestroy();
};

describe("the traffic of the demo", () => {
  let server: Server | undefined;
  let traffic: Traffic | undefined;

  afterEach(async () => {
    await traffic?.stop();
    await new Promise((resolve) => server?.close(resolve));
  });

  /** Sends until so many were answered, then no more. */
  async function run(ways: readonly Way[], count: number): Promise<Traffic> {
    let taken = 0;
    let onEnough = (): void => {};
    const enough = new Promise<void>((resolve) => {
      onEnough = resolve;
    });
    server = createServer((request, response) => {
      request.resume();
      (ways[taken++] ?? ways.at(-1) ?? ok)(response);
      if (taken === count) onEnough();
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    traffic = new Traffic({ target: `127.0.0.1:${port}`, perSecond: 500, maxOpen: 4 });
    traffic.start();
    await enough;
    await traffic.stop();
    return traffic;
  }

  it("counts good answers by backend", async () => {
    const counts = (await run([ok], 20)).counts();
    expect(counts.requests).toBeGreaterThanOrEqual(20);
    expect(counts).toMatchObject({ failed: 0, reasons: {}, answered: { web1: counts.requests } });
  });

  it("tells failures apart by what the client saw", async () => {
    const { failed, reasons } = (await run([failing, failing, refusing, cutting, ok], 10)).counts();
    expect(failed).toBe(4);
    expect(reasons).toEqual({
      "500 from web2": 2,
      "503 from the sidecar: no backend": 1,
      ECONNRESET: 1,
    });
  });

  it("waits at its end for what is open, and sends no more", async () => {
    const held: ServerResponse[] = [];
    const sent = run([(response) => held.push(response)], 4);
    await expect.poll(() => held.length).toBe(4);
    for (const response of held) ok(response);
    const counts = (await sent).counts();
    expect(counts.requests).toBe(4);
    expect(counts.failed).toBe(0);
  });

  it("tells what has come since an earlier look", async () => {
    const done = await run([failing, ok], 10);
    const before = done.counts();
    expect(done.since({ requests: 0, failed: 0, reasons: {}, answered: {} })).toEqual(before);
    expect(done.since(before)).toEqual({ requests: 0, failed: 0, reasons: {}, answered: {} });
  });

  it("knows the latency of each backend", async () => {
    const done = await run([ok], 10);
    expect(done.latencyMs(0.5, "web1")).toBeGreaterThan(0);
    expect(done.latencyMs(0.5, "web9")).toBeUndefined();
  });
});
