import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { ConsulConfig } from "../../../src/config/model.js";
import { type ConsulClient, createConsulClient } from "../../../src/control/sources/consul/client.js";
import { systemClock } from "../../../src/platform/clock.js";
import { consulConfig } from "./sources/consul-config.js";

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly type: string | undefined;
  readonly token: string | string[] | undefined;
  readonly text: string;
}

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function open(status: number, answer: string, changes: Partial<ConsulConfig> = {}) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const text = Buffer.concat(chunks).toString();
      received.push({ method, url, type: headers["content-type"], token: headers["x-consul-token"], text });
      response.writeHead(status).end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = createConsulClient(consulConfig(`http://127.0.0.1:${port}`, changes), systemClock);
  closers.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => client.close(),
  );
  return { client, received };
}

function put(client: ConsulClient, body?: object) {
  const { signal } = new AbortController();
  const path = "/agent/check/update/a%2Fb";
  return client.request({
    method: "PUT",
    path,
    query: { ns: "x y" },
    timeoutMs: 5_000,
    signal,
    ...(body && { body }),
  });
}

it("writes JSON below /v1 and takes an answer without a body", async () => {
  const { client, received } = await open(200, "");
  expect(await put(client, { Output: 'grün "1"' })).toMatchObject({
    kind: "ok",
    status: 200,
    body: undefined,
  });
  expect(received).toEqual([
    {
      method: "PUT",
      url: "/v1/agent/check/update/a%2Fb?ns=x%20y",
      type: "application/json; charset=utf-8",
      token: undefined,
      text: '{"Output":"grün \\"1\\""}',
    },
  ]);
});

it("writes nothing where there is nothing to write", async () => {
  const { client, received } = await open(200, "");
  expect(await put(client)).toMatchObject({ kind: "ok" });
  expect(received[0]).toMatchObject({ method: "PUT", text: "" });
});

it("tells what a refusal says", async () => {
  const { client } = await open(500, 'CheckID "a/b" does not have associated TTL');
  expect(await put(client)).toMatchObject({
    kind: "status",
    status: 500,
    text: 'CheckID "a/b" does not have associated TTL',
  });
});

it("counts how often the token in its file has changed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pilotfish-token-"));
  closers.push(() => rm(folder, { recursive: true }));
  const tokenFile = join(folder, "token");
  const { client, received } = await open(200, "", { tokenFile });
  const counts: number[] = [];
  for (const text of ["one", "one\n", "two", "two", "one"]) {
    await writeFile(tokenFile, text);
    await put(client);
    counts.push(client.tokenChanges());
  }
  expect(counts).toEqual([0, 0, 1, 1, 2]);
  expect(received.map(({ token }) => token)).toEqual(["one", "one", "two", "two", "one"]);
});
