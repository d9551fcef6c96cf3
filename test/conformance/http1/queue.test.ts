import { describe, expect, it } from "vitest";
import type { RouteConfig } from "../../../src/config/model.js";
import { until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, getOf } from "./scene.js";

/** Every request; its class in a field. */
const CLASSED: RouteConfig = {
  match: { host: undefined, path: undefined, pathPrefix: undefined, method: undefined, headers: [] },
  pools: [{ pool: "web", weight: 1 }],
  timeouts: { requestTotalMs: undefined, serverMs: undefined },
  retries: { max: undefined, perTryMs: undefined, on: undefined },
  priority: { class: 0, offsetMs: 0, header: "x-class" },
};

describe("requests that wait", () => {
  it.each([
    ["trusted", ["127.0.0.0/8"], ["/urgent", "/plain", "/batch"]],
    ["unknown", [], ["/plain", "/batch", "/urgent"]],
  ] as const)("are served by the class that a client says if it is %s", async (_who, trusted, order) => {
    const { proxy, backend } = await aScene({ maxInFlightPerBackend: 1, routes: [CLASSED], trusted });
    backend.script = () => undefined;
    const first = proxy.dial();
    await first.send(GET);
    await backend.request(0);
    const waiting = [];
    for (const [path, said] of [
      ["/plain", "0"],
      ["/batch", "5"],
      ["/urgent", "-5"],
    ] as const) {
      const client = proxy.dial();
      await client.send(getOf(path, `X-Class: ${said}\r\n`));
      waiting.push(client);
      await until(() => proxy.pool.queue.length === waiting.length);
    }
    backend.script = () => answer(OK);
    backend.connections[0]?.socket.write(OK);
    for (const client of waiting) await client.receives(OK);
    await proxy.settled();
    expect(proxy.records.slice(1).map(({ target }) => target)).toEqual(order);
  });

  it("are answered at once, and told why, when the last backend is lost", async () => {
    const { proxy, backend } = await aScene({ maxInFlightPerBackend: 1 });
    backend.script = () => undefined;
    const first = proxy.dial();
    await first.send(GET);
    await backend.request(0);
    const second = proxy.dial();
    await second.send(GET);
    await until(() => proxy.pool.queue.length === 1);
    proxy.pool.apply({ endpoints: [] }, 0);
    await second.receives(
      "503 pilotfish: no usable backend in pool web: the last one was lost while the request waited",
    );
    await second.receives("retry-after: 1\r\n");
    expect(await proxy.record(0)).toMatchObject({ errorCode: "no-usable-backend", endState: "SQ" });
    backend.connections[0]?.socket.write(OK);
    await first.receives(OK);
    await proxy.settled();
  });
});
