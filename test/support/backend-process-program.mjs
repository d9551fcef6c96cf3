/**
 * A backend for tests: plain node:http, told by its parent how to behave. Plain JavaScript, so that it starts
 * in a few hundredths of a second.
 *
 * Arguments: id, file for the record, and as JSON `{ ports, echoPort }`: the HTTP ports, and the one that sends back
 * what it gets (0 for a free one). The record gets one line per request at the moment its body was
 * read whole, `begin ID METHOD`, and `end ID` once it was answered; written at once, so that it survives a kill.
 *
 * Paths: `/status` the health check; `/bytes?n=N` that many bytes; `/hang` no answer ever; `/hold` an answer
 * when the parent says `release`; `/half?n=N` promises N bytes, sends half and waits; everything else answers
 * with the request's id and the length of its body. Query `delay=MS` delays one answer.
 */
import { openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocketServer } from "node:net";

const [id = "", recordFile = "", wanted = "{}"] = process.argv.slice(2);
const { ports = [0], echoPort } = JSON.parse(wanted);
const record = openSync(recordFile, "a");
const behaviour = {
  mode: "serve",
  delayMs: 0,
  status: 200,
  healthStatus: 200,
  grpcStatus: undefined,
  resetIdleMs: 0,
};
const counts = { executed: 0, bytesSent: 0, cutShort: 0, open: 0, connections: 0 };
const held = [];
const block = Buffer.alloc(64 * 1024, "x");
let isStopping = false;

function answer(response, request, body) {
  if (isStopping) response.setHeader("connection", "close");
  if (behaviour.grpcStatus !== undefined) {
    response.setHeader("content-type", "application/grpc");
    response.setHeader("grpc-status", behaviour.grpcStatus);
  }
  response.writeHead(behaviour.status, {
    ...(behaviour.grpcStatus === undefined && { "content-type": "text/plain" }),
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
  if (behaviour.mode === "hang") return;
  if (behaviour.mode === "reset") {
    request.socket.resetAndDestroy();
    return;
  }
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

/** A connection that rests for the set time after an answer is reset, as some servers and firewalls do. */
function watchIdle(socket) {
  let timer;
  return {
    busy: () => clearTimeout(timer),
    idle: () => {
      clearTimeout(timer);
      if (behaviour.resetIdleMs > 0)
        timer = setTimeout(() => socket.resetAndDestroy(), behaviour.resetIdleMs);
    },
  };
}

/** Each port counts as an instance of its own: when it took its first request is told at once. */
function open(port) {
  let isUntouched = true;
  const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
    if (isUntouched && request.url !== "/status") {
      isUntouched = false;
      process.send?.({ first: server.address().port, atNs: process.hrtime.bigint().toString() });
    }
    const rest = idleWatches.get(request.socket);
    rest?.busy();
    response.on("finish", () => rest?.idle());
    let bodyBytes = 0;
    request.on("data", (chunk) => {
      bodyBytes += chunk.length;
    });
    request.on("end", () => serve(request, response, bodyBytes));
    request.on("aborted", () => counts.cutShort++);
  });
  server.on("connection", (socket) => {
    counts.connections++;
    idleWatches.set(socket, watchIdle(socket));
    socket.on("error", () => {});
    socket.on("close", () => counts.connections--);
  });
  return listening(server, port);
}

/** Sends back what it gets; who ends is answered to the end. */
function openEcho(port) {
  const server = createSocketServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  return listening(server, port);
}

function listening(server, port) {
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

const idleWatches = new WeakMap();
const servers = await Promise.all(ports.map(open));
const echo = echoPort === undefined ? undefined : await openEcho(echoPort);
const bound = servers.map((server) => server.address().port);

/** From now on new connections are refused and those that were open are reset; or taken again, on the same port. */
async function refuse(isRefusing) {
  for (const [index, server] of servers.entries()) {
    if (isRefusing === !server.listening) continue;
    if (isRefusing) {
      server.close();
      server.closeAllConnections();
    } else await listening(server, bound[index]);
  }
}

/** Answers when it was in force, if that is asked for: milliseconds since the Unix epoch, with fractions. */
async function behave(set, report) {
  Object.assign(behaviour, set);
  if (set.isRefusing !== undefined) await refuse(set.isRefusing);
  const changedMs = performance.timeOrigin + performance.now();
  if (report !== undefined) process.send?.({ report, changedMs });
}

process.on("message", (message) => {
  if (message.set !== undefined) {
    void behave(message.set, message.report);
    return;
  }
  if (message.release === true) for (const say of held.splice(0)) say();
  if (message.report !== undefined) process.send?.({ report: message.report, counts });
});
// A test that ended without farewell leaves nothing behind.
process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => {
  isStopping = true;
  const all = echo === undefined ? servers : [...servers, echo];
  let left = all.length;
  for (const server of all) {
    server.close(() => {
      if (--left === 0) process.exit(0);
    });
    server.closeIdleConnections?.();
  }
});
process.send?.({ ports: bound, echoPort: echo?.address().port });
