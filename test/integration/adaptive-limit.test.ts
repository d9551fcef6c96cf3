import { createServer, type Server } from "node:http";
import { type AddressInfo, createConnection } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.js";

const GET = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

/** A backend that works on so many requests at once; the others wait in it, first come, first served. */
class WorkingBackend {
  most = 0;
  readonly #server: Server;
  readonly #line: (() => void)[] = [];
  #busy = 0;
  #open = 0;

  constructor(workers: number, serviceMs: number) {
    this.#server = createServer((_, response) => {
      this.#open++;
      this.most = Math.max(this.most, this.#open);
      const work = () => {
        this.#busy++;
        setTimeout(() => {
          this.#busy--;
          this.#open--;
          response.end("ok");
          this.#line.shift()?.();
        }, serviceMs);
      };
      if (this.#busy < workers) work();
      else this.#line.push(work);
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** The whole answer to one request on a connection of its own. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = createConnection(port, "127.0.0.1", () => socket.write(GET));
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
}

describe("an adaptive limit before a slow backend, over real sockets", () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });

  it("keeps the work waiting in the queue, and answers 503 with Retry-After beyond it", async () => {
    const backend = new WorkingBackend(2, 20);
    open.push(backend);
    const proxy: HttpProxy = await startHttpProxy({
      backends: [await backend.listen()],
      maxQueue: 30,
      adaptiveLimit: {
        minLimit: 2,
        maxLimit: 1_000,
        intervalMs: 50,
        minSamples: 10,
        percentile: 50,
        bufferPercent: 25,
        minDifferenceMs: 2,
        minRttIntervalMs: 60_000,
        minRttJitterPercent: 0,
        minRttSamples: 20,
      },
    });
    open.push(proxy);
    const answers: string[] = [];
    const client = async () => {
      for (let index = 0; index < 20; index++) answers.push(await ask(proxy.port));
    };
    await Promise.all(Array.from({ length: 20 }, client));
    expect(answers.filter((answer) => answer.startsWith("HTTP/1.1 200"))).toHaveLength(400);
    // 20 clients at once, and the backend was given about what it works on; the rest waited in the queue.
    expect(backend.most).toBeLessThan(14);
    const burst = await Promise.all(Array.from({ length: 80 }, () => ask(proxy.port)));
    const refused = burst.filter((answer) => answer.startsWith("HTTP/1.1 503"));
    expect(refused.length).toBeGreaterThan(20);
    for (const answer of refused) expect(answer.toLowerCase()).toContain("\r\nretry-after: 1\r\n");
    expect(backend.most).toBeLessThan(14);
    await proxy.settled();
    expect(proxy.broken).toEqual([]);
  }, 30_000);
});
