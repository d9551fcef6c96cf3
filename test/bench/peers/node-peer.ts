import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nextMessage, startChild } from "../children.js";
import type { Peer, PeerSetting, RunningPeer } from "./peer.js";

/** A proxy library from npm, run by a small plain JavaScript program beside this file. HTTP only. */
export function nodePeer(packageName: string, program: string): Peer {
  return {
    name: packageName,

    version() {
      try {
        return createRequire(import.meta.url)(`${packageName}/package.json`).version;
      } catch {
        // Not installed, which the table then says.
        return undefined;
      }
    },

    async start(setting: PeerSetting): Promise<RunningPeer> {
      const child = startChild({
        place: "proxy",
        command: process.execPath,
        args: [
          fileURLToPath(new URL(program, import.meta.url)),
          setting.httpBackends.join(","),
          setting.accessLog?.file ?? "",
        ],
        outputFile: join(setting.directory, "output"),
        channel: true,
      });
      const ready = await nextMessage(child);
      return { child, httpPort: Number(ready.port), tcpPort: undefined };
    },
  };
}
