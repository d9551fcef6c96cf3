import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, it } from "vitest";
import { linkNamespaces } from "../support/network-namespaces.js";
import { until } from "../support/promised.js";
import { Sidecar } from "../support/sidecar.js";

const SERVICE = "_pilot._tcp.local";
const SOON_MS = 15_000;
const main = process.env.PILOTFISH_MAIN ?? fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const host = fileURLToPath(new URL("../support/link-host-program.ts", import.meta.url));

const link = linkNamespaces(`pilotfish${process.pid}`, "10.77.0.1", "10.77.0.2");
afterAll(() => link?.remove());

it.skipIf(link === undefined)(
  "finds an instance on another host of the link, carries to it, and hears its goodbye",
  async () => {
    if (link === undefined) return;
    const folder = await mkdtemp(join(tmpdir(), "pilotfish-link-"));
    const children: ChildProcess[] = [];
    const start = (where: readonly string[], ...args: readonly string[]) => {
      const [command = "", ...rest] = [...where, process.execPath, ...args];
      const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
      children.push(child);
      return child;
    };
    try {
      const other = start(link.first, "--import", "tsx", host, SERVICE, "one", "10.77.0.1");
      await new Promise((resolve) => other.stdout?.once("data", resolve));
      // Sockets of the file system are seen from every namespace.
      const front = join(folder, "front.sock");
      const config = {
        admin: { grpc: "off", http: "off" },
        listeners: [{ name: "front", bind: `unix:${front}`, protocol: "http", pool: "web" }],
        // The instance lives on after its goodbye, which suspicion would doubt.
        pools: [{ name: "web", discovery: { type: "dns-sd", service: SERVICE }, suspicion: "off" }],
        startDeadline: "1s",
      };
      const file = join(folder, "pilotfish.yaml");
      await writeFile(file, Sidecar.text(config));
      start(link.second, main, "run", "-c", file).stdout?.resume();
      await until(
        async () => (await ask(front)) === "200 from one at 10.77.0.1",
        SOON_MS,
        "the other host's answer",
      );
      other.stdin?.write("withdraw\n");
      await until(async () => (await ask(front)).startsWith("503"), SOON_MS, "nobody to ask");
    } finally {
      await Promise.all(
        children.map(async (child) => {
          const ended = new Promise((resolve) => child.once("exit", resolve));
          if (child.exitCode === null && child.signalCode === null) {
            child.kill("SIGKILL");
            await ended;
          }
        }),
      );
      await rm(folder, { recursive: true, force: true });
    }
  },
  60_000,
);

/** Status and body; empty where nobody listens. */
function ask(socketPath: string): Promise<string> {
  return new Promise((resolve) => {
    const outgoing = request({ socketPath, agent: false, headers: { host: "web" } }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    outgoing.on("error", () => resolve(""));
    outgoing.end();
  });
}
