import { type Registry, type RegistryOptions, startRegistry } from "../../src/dev/registry-server.js";
import type { RunningRegistry } from "./consul.js";

/** Starts the embedded catalog on a free port of the loopback address, with a node called `node1`. */
export async function startEmbedded(options: Partial<RegistryOptions> = {}): Promise<RunningRegistry> {
  const start = (port: number) => startRegistry({ host: "127.0.0.1", nodeName: "node1", ...options, port });
  let registry: Registry | undefined = await start(options.port ?? 0);
  const { url, port } = registry;
  const stop = async () => {
    await registry?.close();
    registry = undefined;
  };
  return {
    url,
    port,
    kill: stop,
    stop,
    restart: async () => {
      await stop();
      registry = await start(port);
    },
  };
}
