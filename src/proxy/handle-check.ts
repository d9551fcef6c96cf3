import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../platform/clock.js";
import type { Connection } from "./connection.js";
import type { DialHandler } from "./dial.js";
import { takeAccepted } from "./handle-connection.js";
import { HandleDial } from "./handle-dial.js";
import { hasStreamHandles, newDialingHandle } from "./stream-handle.js";

/** Longest a loopback exchange may take before the handles count as unknown. */
const CHECK_MS = 2_000;

/** Small enough for text, and large enough for a read of its own and a write from its buffer. */
const SIZES = [5, 300_000];

/**
 * Whether the runtime's stream handles behave as `stream-handle.ts` says: an accepted and a dialed
 * one exchange small and large portions, pass ends on, and close; a dial is refused. False on the first difference,
 * and where there is no loopback address to try it on.
 */
export async function checkHandles(): Promise<boolean> {
  if (!hasStreamHandles()) return false;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  try {
    await listening(server);
    const { port } = server.address() as AddressInfo;
    const works = await exchange(server, port);
    await closed(server);
    return works && (await isRefused(port));
  } catch {
    return false;
  } finally {
    server.close();
  }
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0, exclusive: true }, resolve);
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Nobody listens there any more. Should somebody by now, that is no difference. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    dial(port, {
      onConnected: (connection) => {
        connection.destroy();
        resolve(true);
      },
      onConnectFailed: (failure) => resolve(failure === "connect-refused"),
    });
  });
}

function dial(port: number, handler: DialHandler): void {
  const handle = newDialingHandle();
  if (handle === undefined) throw new Error("no handle to dial with");
  new HandleDial(handle, { host: "127.0.0.1", port }, CHECK_MS, systemClock, handler);
}

/** What is sent comes back whole, then both ends and both closings are told. */
function exchange(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const open: (Connection | Socket)[] = [];
    const settle = (works: boolean): void => {
      timer.cancel();
      for (const each of open) each.destroy();
      resolve(works);
    };
    const timer = systemClock.after(CHECK_MS, () => settle(false));
    server.on("error", () => settle(false));
    const isTaken = takeAccepted(server, (connection) => {
      open.push(connection);
      echo(connection);
    });
    // As a plain socket it was not taken over.
    server.on("connection", (socket) => {
      open.push(socket);
      settle(false);
    });
    if (!isTaken) {
      settle(false);
      return;
    }
    dial(port, {
      onConnected: (connection) => {
        open.push(connection);
        talk(connection, settle);
      },
      onConnectFailed: () => settle(false),
    });
  });
}

function echo(connection: Connection): void {
  connection.handler = {
    onData: (chunk) => {
      if (!connection.write(chunk)) connection.pause();
    },
    onEnd: () => connection.end(),
    onDrain: () => connection.resume(),
    onClose() {},
  };
  connection.resume();
}

function talk(connection: Connection, settle: (works: boolean) => void): void {
  const sent = Buffer.concat(SIZES.map((size, index) => Buffer.alloc(size, 0x61 + index)));
  let received = 0;
  let isSame = true;
  let hasEnded = false;
  connection.handler = {
    onData: (chunk) => {
      isSame &&= sent.compare(chunk, 0, chunk.length, received, received + chunk.length) === 0;
      received += chunk.length;
      if (received === sent.length) connection.end();
    },
    onEnd: () => {
      hasEnded = true;
    },
    onDrain() {},
    onClose: (error) => {
      const isCounted = connection.bytesRead === sent.length && connection.bytesWritten === sent.length;
      settle(
        error === undefined && isSame && hasEnded && isCounted && connection.remoteAddress === "127.0.0.1",
      );
    },
  };
  connection.resume();
  let at = 0;
  for (const size of SIZES) {
    const portion = sent.subarray(at, at + size);
    if (at === 0) connection.writeText(portion.toString("latin1"));
    else connection.write(portion);
    at += size;
  }
}
