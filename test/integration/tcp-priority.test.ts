import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.js";
import { createProtocol } from "../../src/extensions.js";
import { systemClock } from "../../src/platform/clock.js";
import { ConnectionBudget } from "../../src/proxy/connection-limits.js";
import { TrustedNetworks } from "../../src/proxy/headers.js";
import { Listener } from "../../src/proxy/listener.js";
import type { UpstreamService } from "../../src/proxy/upstream-service.js";
import { startHttpProxy } from "../support/http-proxy.js";
import { RawClient, until } from "../support/raw-client.js";
import { silentLog } from "../support/tcp-proxy.js";

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

/** A host that keeps what was said to it, in order. */
async function aHost() {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (bytes: Buffer) => heard.push(bytes.toString()));
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { heard, port: (server.address() as AddressInfo).port };
}

/** The configured tcp listener in front of that pool. */
async function listen(priority: string, service: UpstreamService): Promise<number> {
  const text = `
listeners: [{ name: front, bind: "127.0.0.1:0", protocol: tcp, pool: web, priority: ${priority} }]
pools: [{ name: web, discovery: { type: static, endpoints: ["127.0.0.1:9"] } }]
`;
  const result = parseConfig(text, { file: "f.yaml", env: {} });
  const config = result.ok ? result.config.listeners[0] : undefined;
  if (config === undefined) throw new Error(JSON.stringify(result));
  const parts = {
    service: () => service,
    trusted: new TrustedNetworks([]),
    clock: systemClock,
    random: () => 0,
    accessLog: { write: () => undefined },
  };
  const listener = new Listener({
    config,
    protocol: createProtocol(config, parts).begin,
    budget: new ConnectionBudget(100),
    log: silentLog,
    connectionMode: "handle",
  });
  await listener.bind();
  closers.push(() => {
    listener.stopAccepting();
    listener.destroyAll();
  });
  const [address] = listener.addresses;
  if (address?.kind !== "tcp") throw new Error("not listening on TCP");
  return address.port;
}

it("serves who waits behind the listener of the lower class first", async () => {
  const host = await aHost();
  const { service, close } = await startHttpProxy({ backends: [host.port], maxInFlightPerBackend: 1 });
  closers.push(close);
  const ports = {
    batch: await listen("{ class: 5 }", service),
    urgent: await listen("{ class: -5 }", service),
  };
  const come = (which: "batch" | "urgent", said: string) => {
    const client = new RawClient(ports[which]);
    closers.push(() => client.leave());
    client.socket.write(said);
    return client;
  };
  const holder = come("batch", "holder");
  await until(() => host.heard.length === 1);
  const clients = new Map<string, RawClient>();
  for (const [which, said] of [
    ["batch", "first"],
    ["urgent", "second"],
    ["urgent", "third"],
  ] as const) {
    clients.set(said, come(which, said));
    await until(() => service.pool.queue.length === clients.size);
  }
  holder.reset();
  for (let served = 2; served <= 4; served++) {
    await until(() => host.heard.length === served);
    clients.get(host.heard.at(-1) ?? "")?.reset();
  }
  expect(host.heard).toEqual(["holder", "second", "third", "first"]);
});
