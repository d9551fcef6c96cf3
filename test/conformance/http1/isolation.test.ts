import { describe, expect, it } from "vitest";
import type { ConnectionMode } from "../../../src/proxy/connection-mode.js";
import { type RawClient, turn } from "../../support/raw-client.js";
import { seededRandom } from "../../support/seeded-random.js";
import { aScene, patterned, postHead } from "./scene.js";

const MODES: readonly ConnectionMode[] = ["handle", "socket"];
const CLIENTS = 24;
const REQUESTS = 4;

/** Far more than one read, and never a multiple of it. */
const bytesOf = (client: number, request: number) => 150_000 + client * 7_919 + request * 104_729;

/**
 * All connections read into the same buffers. Whatever outlives a read must have been copied: with readers that
 * stop in the middle, writes stay queued while other clients' bytes come in.
 */
describe.each(MODES)("many clients at once, over a %s", (connectionMode) => {
  it("each gets its own bytes back, however slowly it and the others read", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    backend.script = ({ body }) => ({
      portions: [`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`, Buffer.from(body, "latin1")],
    });
    const clients = Array.from({ length: CLIENTS }, () => proxy.dial());
    let isOver = false;
    const stalling = stallAtRandom(clients, () => isOver);
    await Promise.all(clients.map((client, index) => converse(client, index)));
    isOver = true;
    await stalling;
    await proxy.settled();
    expect(backend.requests).toHaveLength(CLIENTS * REQUESTS);
  }, 60_000);
});

async function converse(client: RawClient, index: number): Promise<void> {
  let sofar = 0;
  for (let request = 0; request < REQUESTS; request++) {
    const bytes = bytesOf(index, request);
    const body = patterned(bytes, index * REQUESTS + request);
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`;
    const start = sofar + head.length;
    sofar = start + bytes;
    const end = sofar;
    await client.send(postHead(`Content-Length: ${bytes}\r\n`), body);
    await client.until((text) => text.length >= end);
    const got = client.text.slice(start, end);
    if (got !== body.toString("latin1")) throw new Error(`client ${index} got foreign bytes`);
  }
}

/** Lets half of the clients stand still at any time, others every few turns. */
async function stallAtRandom(clients: readonly RawClient[], isOver: () => boolean): Promise<void> {
  const random = seededRandom(7);
  while (!isOver()) {
    for (const client of clients) {
      if (random() < 0.5) client.stall();
      else client.unstall();
    }
    for (let turns = 0; turns < 5; turns++) await turn();
  }
  for (const client of clients) client.unstall();
}
