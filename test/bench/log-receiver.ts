/**
 * A log socket for proxies that can only log to one: takes datagrams and appends their lines to a file in batches.
 * First argument: the file. Its time is not the proxy's and is not counted.
 */
import { createSocket } from "node:dgram";
import { createWriteStream } from "node:fs";

const FLUSH_MS = 200;
const MAX_PENDING = 65_536;

const file = createWriteStream(process.argv[2] ?? "/dev/null", { flags: "a" });
let pending: Buffer[] = [];

function flush(): void {
  if (pending.length === 0) return;
  const batch = Buffer.concat(pending);
  pending = [];
  if (file.writableLength < 16 * 1024 * 1024) file.write(batch);
}

const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
socket.on("message", (line) => {
  if (pending.length >= MAX_PENDING) return;
  pending.push(line);
  if (line.at(-1) !== 0x0a) pending.push(Buffer.from("\n"));
});
setInterval(flush, FLUSH_MS);
process.on("disconnect", () => process.exit(0));
socket.bind(0, "127.0.0.1", () => process.send?.({ ready: true, port: socket.address().port }));
