import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ConsulConfig } from "../../../../src/config/model.js";
import type { ConsulAnswer } from "../../../../src/control/sources/consul/answer.js";
import { type ConsulClient, createConsulClient } from "../../../../src/control/sources/consul/client.js";
import { systemClock } from "../../../../src/platform/clock.js";
import {
  type Script,
  ScriptedAgent,
  type ScriptedAgentOptions,
  scripts,
  wireAnswer,
} from "../../../support/scripted-agent.js";
import { consulConfig } from "./consul-config.js";

const directory = mkdtempSync(join(tmpdir(), "consul-client-"));
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => rmSync(directory, { recursive: true }));

async function open(
  script: Script,
  options: ScriptedAgentOptions = {},
  changes: Partial<ConsulConfig> = {},
): Promise<{ readonly agent: ScriptedAgent; readonly client: ConsulClient }> {
  const agent = await ScriptedAgent.start(script, options);
  const client = createConsulClient(consulConfig(agent.address, changes), systemClock);
  closers.push(
    () => agent.stop(),
    () => client.close(),
  );
  return { agent, client };
}

function get(
  client: ConsulClient,
  timeoutMs = 10_000,
  signal = new AbortController().signal,
): Promise<ConsulAnswer> {
  return client.request({ path: "/health/service/web", query: { stale: "1" }, timeoutMs, signal });
}

it("asks below /v1 with the query given and reads JSON whatever its type is called", async () => {
  const { agent, client } = await open(
    scripts.answer(200, "[1,2]", { "Content-Type": "text/plain", "X-Cache": "HIT" }),
  );
  const answer = await get(client);
  expect(answer).toMatchObject({ kind: "ok", status: 200, body: [1, 2] });
  expect(answer.kind === "ok" && answer.headers["x-consul-index"]).toBe("10");
  expect(agent.requests[0]?.target).toBe("/v1/health/service/web?stale=1");
});

it("uses one connection for one request after the other", async () => {
  const { agent, client } = await open(scripts.answer(200, "[]"));
  for (let n = 0; n < 5; n += 1) expect((await get(client)).kind).toBe("ok");
  expect(agent.connections).toBe(1);
});

it("counts the connections that have closed, however many requests they carried", async () => {
  const { agent, client } = await open(scripts.answer(200, "[]"));
  for (let n = 0; n < 3; n += 1) await get(client);
  expect(client.closings()).toBe(0);
  await agent.stop();
  await expect.poll(() => client.closings(), { interval: 1 }).toBe(1);
});

it("encodes what the query holds", async () => {
  const { agent, client } = await open(scripts.answer(200, "[]"));
  const query = { filter: 'Service.Meta.a == "x&y"', ns: "a/b" };
  await client.request({
    path: "/health/service/w%2Fx",
    query,
    timeoutMs: 10_000,
    signal: new AbortController().signal,
  });
  const url = new URL(agent.requests[0]?.target ?? "", "http://x");
  expect(url.pathname).toBe("/v1/health/service/w%2Fx");
  expect(Object.fromEntries(url.searchParams)).toEqual(query);
});

it("puts a path of the address before /v1", async () => {
  const agent = await ScriptedAgent.start(scripts.answer(200, "[]"));
  const client = createConsulClient(consulConfig(`${agent.address}/consul/`), systemClock);
  closers.push(
    () => agent.stop(),
    () => client.close(),
  );
  await get(client);
  expect(agent.requests[0]?.target).toBe("/consul/v1/health/service/web?stale=1");
});

describe("every way to fail becomes a value", () => {
  it.each<[string, Script, object]>([
    ["a body cut short", scripts.cutShort(), { kind: "cut-short" }],
    ["chunks cut short", scripts.cutChunks(), { kind: "cut-short" }],
    ["a reset inside the body", scripts.resetInBody(), { kind: "cut-short" }],
    ["a reset before it", scripts.reset(), { kind: "network" }],
    ["something else than HTTP", scripts.garbage(), { kind: "network" }],
    ["a page with status 200", scripts.html(), { kind: "not-json" }],
    ["an empty body", scripts.answer(200, ""), { kind: "not-json", message: "answer 200 is empty" }],
    ["half a JSON text", scripts.answer(200, '[{"Node":'), { kind: "not-json" }],
    [
      "429 with Retry-After",
      scripts.answer(429, "slow down", { "Retry-After": "2" }),
      { kind: "status", status: 429, text: "slow down", retryAfterMs: 2_000 },
    ],
    [
      "503 without",
      scripts.answer(503, ""),
      { kind: "status", status: 503, text: "", retryAfterMs: undefined },
    ],
    [
      "403 with its text",
      scripts.answer(403, "ACL not found", { "Content-Type": "text/plain" }),
      { kind: "status", status: 403, text: "ACL not found" },
    ],
    [
      "500 with a long text",
      scripts.answer(500, `Failed ${"x".repeat(200)}`),
      { kind: "status", status: 500, text: `Failed ${"x".repeat(200)}` },
    ],
    [
      "a redirect",
      scripts.answer(301, "", { Location: "http://127.0.0.1:1/" }),
      { kind: "status", status: 301 },
    ],
  ])("%s", async (_name, script, expected) => {
    const { client, agent } = await open(script);
    expect(await get(client)).toMatchObject(expected);
    // The client is none the worse for it.
    agent.setScript(scripts.answer(200, "[]"));
    expect((await get(client)).kind).toBe("ok");
  });

  it("a date in Retry-After", async () => {
    const { client } = await open((socket) =>
      socket.write(
        wireAnswer(503, "", { "Retry-After": new Date(systemClock.wallMs() + 30_000).toUTCString() }),
      ),
    );
    const answer = await get(client);
    const retryAfterMs = answer.kind === "status" ? (answer.retryAfterMs ?? 0) : 0;
    expect(retryAfterMs).toBeGreaterThan(25_000);
    expect(retryAfterMs).toBeLessThanOrEqual(30_000);
  });

  it.each([
    ["never answers", scripts.hang()],
    ["stalls inside the body", scripts.stall()],
  ])("an agent that %s", async (_name, script) => {
    const { client, agent } = await open(script);
    expect(await get(client, 50)).toEqual({ kind: "timeout", message: "no complete answer within 50 ms" });
    agent.setScript(scripts.answer(200, "[]"));
    expect((await get(client)).kind).toBe("ok");
  });

  it("no agent at all", async () => {
    const { client, agent } = await open(scripts.hang());
    await agent.stop();
    const answer = await get(client);
    expect(answer).toMatchObject({ kind: "network" });
    expect(answer.kind === "network" && answer.message).toMatch(/^connect ECONNREFUSED 127/);
  });

  it("an abort, before, during and after", async () => {
    const { client, agent } = await open(scripts.hang());
    const abort = new AbortController();
    const pending = get(client, 10_000, abort.signal);
    await expect.poll(() => agent.requests.length).toBe(1);
    abort.abort();
    expect((await pending).kind).toBe("aborted");
    await expect.poll(() => agent.open).toBe(0);
    expect((await get(client, 10_000, abort.signal)).kind).toBe("aborted");
    expect(agent.requests.length).toBe(1);
  });
});

describe("credentials", () => {
  it("sends the token in its header only, and basic authentication", async () => {
    const { agent, client } = await open(
      scripts.answer(200, "[]"),
      {},
      { token: "s3cret", auth: "user:pa:ss" },
    );
    await get(client);
    expect(agent.requests[0]?.headers["x-consul-token"]).toBe("s3cret");
    expect(agent.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from("user:pa:ss").toString("base64")}`,
    );
    expect(agent.requests[0]?.target).not.toContain("s3cret");
  });

  it("reads the token file anew for each request, before the plain token", async () => {
    const tokenFile = join(directory, "token");
    writeFileSync(tokenFile, "one\n");
    const { agent, client } = await open(scripts.answer(200, "[]"), {}, { token: "plain", tokenFile });
    await get(client);
    writeFileSync(tokenFile, "two");
    await get(client);
    expect(agent.requests.map((request) => request.headers["x-consul-token"])).toEqual(["one", "two"]);
  });

  it("sends nothing when the token file cannot be read", async () => {
    const { agent, client } = await open(
      scripts.answer(200, "[]"),
      {},
      { tokenFile: join(directory, "none") },
    );
    expect(await get(client)).toMatchObject({ kind: "credentials" });
    expect(agent.requests).toEqual([]);
  });
});

describe("places", () => {
  it("speaks over a unix socket", async () => {
    const { agent, client } = await open(scripts.answer(200, "[3]"), {
      socketPath: join(directory, "agent.sock"),
    });
    expect(agent.address.startsWith("unix:///")).toBe(true);
    expect(await get(client)).toMatchObject({ kind: "ok", body: [3] });
  });

  it("speaks to an IPv6 literal", async () => {
    const { agent, client } = await open(scripts.answer(200, "[6]"), { host: "::1" });
    expect(await get(client)).toMatchObject({ kind: "ok", body: [6] });
    expect(agent.requests[0]?.headers.host).toMatch(/^\[::1\]:\d+$/);
  });

  it("refuses another scheme", () => {
    expect(() => createConsulClient(consulConfig("ftp://x"), systemClock)).toThrow(/expected http/);
  });
});

describe("TLS", () => {
  const file = (name: string) => join(directory, name);
  const read = (name: string) => readFileSync(file(name), "utf8");

  beforeAll(() => {
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "2",
      "-subj",
      "/CN=test ca",
    );
    for (const name of ["server.dc1.consul", "client"]) {
      writeFileSync(file("ext"), `subjectAltName=DNS:${name}`);
      openssl("req", ...key, "-keyout", `${name}.key`, "-out", "csr", "-subj", `/CN=${name}`);
      const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
      openssl("x509", "-req", "-in", "csr", ...signer, "-extfile", "ext", "-out", `${name}.pem`);
    }
  });

  const serverTls = () => ({ key: read("server.dc1.consul.key"), cert: read("server.dc1.consul.pem") });
  const plain = {
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    serverName: undefined,
    verify: true,
  };

  it("trusts the given authority under the given server name, and nothing else", async () => {
    const options = { tls: serverTls() };
    const trusting = await open(scripts.answer(200, "[]"), options, {
      tls: { ...plain, caFile: file("ca.pem"), serverName: "server.dc1.consul" },
    });
    expect((await get(trusting.client)).kind).toBe("ok");
    const strangers = await open(scripts.answer(200, "[]"), options, { tls: plain });
    expect(await get(strangers.client)).toMatchObject({ kind: "network" });
    const misnamed = await open(scripts.answer(200, "[]"), options, {
      tls: { ...plain, caFile: file("ca.pem") },
    });
    expect(await get(misnamed.client)).toMatchObject({ kind: "network" });
    const careless = await open(scripts.answer(200, "[]"), options, { tls: { ...plain, verify: false } });
    expect((await get(careless.client)).kind).toBe("ok");
  });

  it("shows its own certificate", async () => {
    const options = { tls: { ...serverTls(), ca: read("ca.pem"), requestCert: true } };
    const base = { ...plain, caFile: file("ca.pem"), serverName: "server.dc1.consul" };
    const known = await open(scripts.answer(200, "[]"), options, {
      tls: { ...base, certFile: file("client.pem"), keyFile: file("client.key") },
    });
    expect((await get(known.client)).kind).toBe("ok");
    const unknown = await open(scripts.answer(200, "[]"), options, { tls: base });
    expect(await get(unknown.client)).toMatchObject({ kind: "network" });
  });
});
