// What the programs of the Node peers share: their server, their backends in turn and a batched access log.
import { createWriteStream } from "node:fs";
import { createServer } from "node:http";

const backends = process.argv[2].split(",").map((port) => `http://127.0.0.1:${port}`);

/** Builds one forwarder per backend and answers with the next one at each call. */
export function inTurn(build) {
  const forwarders = backends.map(build);
  let turn = 0;
  return () => {
    turn = turn + 1 < forwarders.length ? turn + 1 : 0;
    return forwarders[turn];
  };
}

/** One line per answer, in the common log format, written every 200 ms. */
function logTo(file) {
  const stream = createWriteStream(file, { flags: "a" });
  let lines = "";
  setInterval(() => {
    if (lines !== "") stream.write(lines);
    lines = "";
  }, 200);
  return (address, req, res) => {
    const bytes = res.getHeader("content-length") ?? "-";
    lines += `${address} - - [${new Date().toISOString()}] "${req.method} ${req.url} HTTP/1.1" ${res.statusCode} ${bytes}\n`;
  };
}

/** Serves `forward(req, res)` on a free port and tells the parent which. */
export function serve(forward) {
  const log = process.argv[3] ? logTo(process.argv[3]) : undefined;
  const server = createServer((req, res) => {
    if (log) {
      // Taken now: at the end the request may have lost its socket.
      const { remoteAddress } = req.socket;
      res.on("finish", () => log(remoteAddress, req, res));
    }
    forward(req, res);
  });
  server.keepAliveTimeout = 60_000;
  server.listen({ host: "127.0.0.1", port: 0, backlog: 2048 }, () =>
    process.send({ port: server.address().port }),
  );
  process.on("disconnect", () => process.exit(0));
  process.on("SIGTERM", () => process.exit(0));
}
