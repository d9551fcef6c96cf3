import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { freePorts, portOpen, startChild } from "../children.js";
import { type Peer, type PeerSetting, type RunningPeer, writeConfiguration } from "./peer.js";

const servers = (ports: readonly number[]): string =>
  ports.map((port) => `        server 127.0.0.1:${port};`).join("\n");

function describe(): string {
  return spawnSync("nginx", ["-V"], { encoding: "utf8" }).stderr ?? "";
}

/** How TCP proxying is loaded: nothing to load, a module line, or undefined where this build has none. */
function streamModule(): string | undefined {
  const text = describe();
  if (/--with-stream(\s|$)/.test(text)) return "";
  const directory = /--modules-path=(\S+)/.exec(text)?.[1];
  const file = directory === undefined ? undefined : join(directory, "ngx_stream_module.so");
  return file !== undefined && existsSync(file) ? `load_module ${file};` : undefined;
}

/** nginx with kept upstream connections, and its stream module for the TCP rows where there is one. */
export const nginx: Peer = {
  name: "nginx",

  version() {
    return /nginx\/([\d.]+)/.exec(describe())?.[1];
  },

  async start(setting: PeerSetting): Promise<RunningPeer> {
    const [httpPort = 0, tcpPort = 0] = await freePorts(2);
    const file = join(setting.directory, "nginx.conf");
    const stream = streamModule();
    const log = setting.accessLog?.file;
    // Started as root its worker runs as another user and must reach its directory.
    chmodSync(setting.directory, 0o755);
    writeConfiguration(
      "nginx.conf",
      {
        DIRECTORY: setting.directory,
        HTTP_PORT: httpPort,
        HTTP_SERVERS: servers(setting.httpBackends),
        ACCESS_LOG: log === undefined ? "off" : `${log} combined buffer=64k flush=1s`,
        MODULES: stream ?? "",
        STREAM: stream === undefined ? "" : streamBlock(tcpPort, setting.echoBackends, log),
      },
      file,
    );
    const child = startChild({
      place: "proxy",
      command: "nginx",
      args: [
        "-p",
        setting.directory,
        "-c",
        file,
        "-e",
        join(setting.directory, "error.log"),
        "-g",
        "daemon off;",
      ],
      outputFile: join(setting.directory, "output"),
      channel: false,
    });
    await portOpen(httpPort, child);
    return { child, httpPort, tcpPort: stream === undefined ? undefined : tcpPort };
  },
};

function streamBlock(port: number, backends: readonly number[], log: string | undefined): string {
  const format =
    "log_format tcp '$remote_addr [$time_local] $status $bytes_sent $bytes_received $session_time';";
  const logging =
    log === undefined ? "access_log off;" : `${format} access_log ${log} tcp buffer=64k flush=1s;`;
  return `stream { ${logging} upstream tcp_out { least_conn;\n${servers(backends)}\n}
server { listen 127.0.0.1:${port} backlog=2048; proxy_pass tcp_out; } }`;
}
