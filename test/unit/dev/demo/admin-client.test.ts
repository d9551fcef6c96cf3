import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AdminServer } from "../../../../src/admin/server.js";
import { AdminClient } from "../../../../src/dev/demo/admin-client.js";
import { endpointOf, poolOf, Scene, silentLog } from "../../admin/scene.js";

describe("a client that knows only the address", () => {
  let server: AdminServer;
  let client: AdminClient;

  beforeEach(async () => {
    const scene = new Scene();
    scene.add(poolOf("web"), [endpointOf("web1", 5_001), endpointOf("web2", 5_002)]);
    server = new AdminServer(
      scene,
      {
        address: { kind: "tcp", host: "127.0.0.1", port: 0 },
        tls: undefined,
        tokenFile: undefined,
        insecure: false,
      },
      silentLog,
    );
    client = await AdminClient.connect((await server.start()).address);
  });

  afterEach(async () => {
    client.close();
    await server.stop(1_000);
  });

  it("learns the API by reflection and reads answers with their zeros", async () => {
    const answer = await client.call("ListBackends", { pool: "web", pageSize: 1 });
    expect(answer).toMatchObject({
      totalSize: 2,
      backends: [
        {
          id: "web1",
          address: "10.0.0.1:5001",
          eligible: true,
          inFlight: 0,
          admin: { state: "ADMIN_STATE_READY" },
          detection: { state: "DETECTION_STATE_ACTIVE" },
        },
      ],
    });
  });

  it("reads a stream to its end", async () => {
    const progress: string[] = [];
    const stream = client.stream<{ readonly progress: string }>(
      "DrainBackend",
      { backend: "web1" },
      (answer) => progress.push(answer.progress),
    );
    await stream.ended;
    expect(progress.at(-1)).toBe("DRAIN_PROGRESS_EMPTY");
  });

  it("ends a stream it no longer wants without an error", async () => {
    let onFirst = (): void => {};
    const first = new Promise<void>((resolve) => {
      onFirst = resolve;
    });
    const stream = client.stream("WatchEvents", { pool: "web" }, onFirst);
    await first;
    stream.cancel();
    await expect(stream.ended).resolves.toBeUndefined();
  });

  it("passes on what the server refuses, in its words", async () => {
    await expect(client.call("ListBackends", { pool: "wbe" })).rejects.toThrow(/NOT_FOUND.*web/);
    await expect(client.stream("DrainBackend", { backend: "web9" }, () => {}).ended).rejects.toThrow(
      /NOT_FOUND/,
    );
    expect(() => client.call("NoSuchMethod")).toThrow("has no method NoSuchMethod");
  });
});
