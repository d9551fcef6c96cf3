/**
 * A backend for tests: plain node:http, told by its parent how to behave. Plain JavaScript, so that it starts
 * in a few hundredths of a second.
 *
 * Arguments: id, file for the record, number of ports. The record gets one line per request at the moment its
 * body was read whole, `begin ID METHOD`, and `end ID` once it was answered; written at once, so that it
 * survives a kill.
 *
 * Paths: `/status` the health check; `/bytes?n=N` that many bytes; `/hang` no answer ever; `/hold` an answer
 * when the parent says `release`; `/half?n=N` promises N bytes, sends half and waits; everything else answers
 * with the request's id and the length of its body. Query `delay=MS` delays one answer.
 */
import { openSync, writeSync } from "node:fs";
import { createServer } from "node:http";

const [id = "", recordFile = "", portCount = "1"] = process.argv.slice(2);
const record = openSync(recordFile, "a");
const behaviour = { delayMs: 0, status: 200, healthStatus: 200 };
const counts = { executed: 0, bytesSent: 0, cutShort: 0, open: 0, connections: 0 };
const held = [];
const block = Buffer.alloc(64 * 1024, "x");
let isStopping = false;

function answer(response, request, body) {
  if (isStopping) response.setHeader("connection", "close");
  response.writeHead(behaviour.status, {
    "content-type": "text/plain",
    "content-length": Buffer.byteLength(body),
    "x-backend": id,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** As much as the reader takes. */
function pour(response, bytes) {
  response.writeHead(200, { "content-length": bytes, "x-backend": id });
  let left = bytes;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      const part = left >= block.length ? block : block.subarray(0, left);
      left -= part.length;
      counts.bytesSent += part.length;
      if (!response.write(part)) {
        response.once("drain", more);
        return;
      }
    }
    if (left === 0) response.end();
  };
  response.on("close", () => {
    if (!response.writableFinished) counts.cutShort++;
  });
  more();
}

function serve(request, response, bodyBytes) {
  const url = new URL(request.url ?? "/", "http://backend");
  const requestId = String(request.headers["x-request-id"] ?? "-");
  if (url.pathname === "/status") {
    response.writeHead(behaviour.healthStatus).end();
    return;
  }
  counts.executed++;
  counts.open++;
  writeSync(record, `begin ${requestId} ${request.method}\n`);
  response.on("close", () => counts.open--);
  response.on("finish", () => writeSync(record, `end ${requestId}\n`));
  const say = () => answer(response, request, `${requestId} ${bodyBytes}`);
  const delayMs = Number(url.searchParams.get("delay") ?? behaviour.delayMs);
  const bytes = Number(url.searchParams.get("n") ?? 0);
  if (url.pathname === "/hang") return;
  if (url.pathname === "/hold") held.push(say);
  else if (url.pathname === "/bytes") pour(response, bytes);
  else if (url.pathname === "/half") {
    response.writeHead(200, { "content-length": bytes, "x-backend": id });
    response.write(Buffer.alloc(bytes / 2, "x"));
  } else if (delayMs > 0) setTimeout(say, delayMs);
  else say();
}

/** Each port counts as an instance of its own: when it took its first request is told at once. */
function open() {
  let isUntouched = true;
  const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
    if (isUntouched && request.url !== "/status") {
      isUntouched = false;
      process.send?.({ first: server.address().port, atNs: process.hrtime.bigint().toString() });
    }
    let bodyBytes = 0;
    request.on("data", (chunk) => {
      bodyBytes += chunk.length;
    });
    request.on("end", () => serve(request, response, bodyBytes));
    request.on("aborted", () => counts.cutShort++);
  });
  server.on("connection", (socket) => {
    counts.connections++;
    socket.on("error", () => {});
    socket.on("close", () => counts.connections--);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

const servers = await Promise.all(Array.from({ length: Number(portCount) }, open));

process.on("message", (message) => {
  Object.assign(behaviour, message.set);
  if (message.release === true) for (const say of held.splice(0)) say();
  if (message.report !== undefined) process.send?.({ report: message.report, counts });
});
// A test that ended without farewell leaves nothing behind.
process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => {
  isStopping = true;
  let left = servers.length;
  for (const server of servers) {
    server.close(() => {
      if (--left === 0) process.exit(0);
    });
    server.closeIdleConnections();
  }
});
process.send?.({ ports: servers.map((server) => server.address().port) });
