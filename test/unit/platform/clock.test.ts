import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/platform/clock.js";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Holds the whole process. */
function freeze(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  closers.push(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

describe("a timer", () => {
  it("comes after the input that came while the process was frozen past its time", async () => {
    const { near, far } = await pair();
    const order: string[] = [];
    near.on("data", () => order.push("data"));
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        systemClock.after(10, () => {
          order.push("timer");
          resolve();
        });
        far.write("x");
        freeze(40);
      });
    });
    expect(order).toEqual(["data", "timer"]);
  });

  it("can be cancelled and restarted by that very input", async () => {
    for (const move of ["cancel", "restart"] as const) {
      const { near, far } = await pair();
      let calls = 0;
      const timer = systemClock.after(10, () => calls++);
      near.on("data", () => timer[move]());
      await new Promise<void>((resolve) => {
        setImmediate(() => {
          far.write("x");
          freeze(40);
          // Two timers of the runtime later it would have been called.
          setTimeout(() => setImmediate(() => setImmediate(resolve)), 1);
        });
      });
      expect(calls).toBe(0);
      timer.cancel();
    }
  });

  it("calls back once, not before its time, and again after a restart", async () => {
    const startedMs = systemClock.nowMs();
    let calls = 0;
    await new Promise<void>((resolve) => {
      const timer = systemClock.after(20, () => {
        calls++;
        if (calls === 1) timer.restart();
        else resolve();
      });
    });
    expect(calls).toBe(2);
    // The runtime's timers are whole milliseconds and may fire a fraction early.
    expect(systemClock.nowMs() - startedMs).toBeGreaterThanOrEqual(38);
  });
});
