import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { freePorts, portOpen, startChild } from "../children.js";
import { type Peer, type PeerSetting, type RunningPeer, writeConfiguration } from "./peer.js";

const servers = (ports: readonly number[]): string =>
  ports.map((port, index) => `    server s${index} 127.0.0.1:${port}`).join("\n");

/** HAProxy, `mode http` for the HTTP rows and `mode tcp` for the TCP rows. It logs through the datagram socket. */
export const haproxy: Peer = {
  name: "haproxy",

  version() {
    return /version ([\w.]+)/.exec(spawnSync("haproxy", ["-v"], { encoding: "utf8" }).stdout ?? "")?.[1];
  },

  async start(setting: PeerSetting): Promise<RunningPeer> {
    const [httpPort = 0, tcpPort = 0] = await freePorts(2);
    const file = join(setting.directory, "haproxy.cfg");
    const logs = setting.accessLog;
    writeConfiguration(
      "haproxy.cfg",
      {
        HTTP_PORT: httpPort,
        TCP_PORT: tcpPort,
        HTTP_SERVERS: servers(setting.httpBackends),
        TCP_SERVERS: servers(setting.echoBackends),
        LOG: logs === undefined ? "" : `log 127.0.0.1:${logs.datagramPort} format raw local0`,
        HTTP_LOG: logs === undefined ? "" : "option httplog",
        TCP_LOG: logs === undefined ? "" : "option tcplog",
      },
      file,
    );
    const child = startChild({
      place: "proxy",
      command: "haproxy",
      args: ["-db", "-f", file],
      outputFile: join(setting.directory, "output"),
      channel: false,
    });
    await portOpen(httpPort, child);
    return { child, httpPort, tcpPort };
  },
};
