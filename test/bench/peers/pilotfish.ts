import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePorts, startChild } from "../children.js";
import { type Peer, type PeerSetting, type RunningPeer, writeConfiguration } from "./peer.js";

const ROOT = new URL("../../../", import.meta.url);
const PROGRAM = fileURLToPath(new URL("dist/cli/main.js", ROOT));
const READY_MS = 20_000;

const endpoints = (ports: readonly number[]): string => ports.map((port) => `"127.0.0.1:${port}"`).join(", ");

/** The build in `dist/`, as `pilotfish run` starts it. */
export const pilotfish: Peer = {
  name: "pilotfish",

  version() {
    if (!existsSync(PROGRAM)) return undefined;
    const version: unknown = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")).version;
    return String(version);
  },

  async start(setting: PeerSetting): Promise<RunningPeer> {
    const [httpPort = 0, tcpPort = 0, adminPort = 0, grpcPort = 0] = await freePorts(4);
    const file = join(setting.directory, "pilotfish.yaml");
    const log = setting.accessLog?.file;
    writeConfiguration(
      "pilotfish.yaml.in",
      {
        HTTP_PORT: httpPort,
        TCP_PORT: tcpPort,
        ADMIN_PORT: adminPort,
        GRPC_PORT: grpcPort,
        ACCESS: log === undefined ? "{ format: off }" : `{ format: haproxy, to: "file:${log}" }`,
        HTTP_DISCOVERY:
          setting.endpointsFile === undefined
            ? `{ type: static, endpoints: [${endpoints(setting.httpBackends)}] }`
            : `{ type: file, path: "${setting.endpointsFile}" }`,
        TCP_BACKENDS: endpoints(setting.echoBackends),
      },
      file,
    );
    const child = await runPilotfish(file, setting.directory, adminPort);
    return { child, httpPort, tcpPort };
  },
};

/** Starts the build with this configuration and waits until it serves. */
export async function runPilotfish(
  file: string,
  directory: string,
  adminPort: number,
  nodeOptions: readonly string[] = [],
): Promise<ChildProcess> {
  const child = startChild({
    place: "proxy",
    command: process.execPath,
    args: [...nodeOptions, PROGRAM, "run", "-c", file],
    outputFile: join(directory, "output"),
    channel: false,
  });
  const deadlineMs = performance.now() + READY_MS;
  while (!(await isReady(adminPort))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("ended at start");
    if (performance.now() > deadlineMs) throw new Error(`not ready after ${READY_MS} ms`);
    await sleep(50);
  }
  return child;
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}
