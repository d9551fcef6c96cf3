/** The backends: one process with several HTTP and several echo ports, so that a balancer has something to choose from. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { BenchBackendConnection } from "./http.js";

const PORTS_EACH = 3;

function serveHttp(socket: Socket): void {
  const connection = new BenchBackendConnection(socket);
  socket.on("data", (bytes) => connection.take(bytes));
}

function serveEcho(socket: Socket): void {
  socket.on("data", (bytes) => {
    if (!socket.write(bytes)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
}

function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    // A proxy that is stopped between two rows resets its connections; the row itself counts what is lost.
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen({ host: "127.0.0.1", port: 0, backlog: 2048 }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
}

async function listenOnAll(serve: (socket: Socket) => void): Promise<number[]> {
  return await Promise.all(Array.from({ length: PORTS_EACH }, () => listen(serve)));
}

process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true, http: await listenOnAll(serveHttp), echo: await listenOnAll(serveEcho) });
