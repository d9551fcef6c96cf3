/**
 * A backend of the demo, in a process of its own: a plain HTTP server that registers itself in the catalog.
 * Arguments: id, service, URL of the catalog, milliseconds of work per request.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { BackendNews, BackendOrder } from "./backend-messages.js";
import { CatalogEntry } from "./registration.js";

const [id = "web", service = "web", catalogUrl = "", workMs = "30"] = process.argv.slice(2);
let status = 200;
let registeredMs = 0;
let hasServed = false;

function tell(news: BackendNews): void {
  process.send?.(news);
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  if (!hasServed) {
    hasServed = true;
    tell({ news: "first-request", afterRegistrationMs: performance.now() - registeredMs });
  }
  request.resume();
  // Work takes its time; a failure is quick, as failures often are.
  const takesMs = status === 200 ? Number(workMs) * (0.5 + Math.random()) : 1;
  setTimeout(() => {
    const body = status === 200 ? `hello from ${id}\n` : `${id} is out of order\n`;
    response.writeHead(status, {
      "content-type": "text/plain",
      "content-length": Buffer.byteLength(body),
      "x-backend": id,
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }, takesMs);
}

const server = createServer(serve);

async function start(): Promise<CatalogEntry> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const entry = new CatalogEntry({ catalogUrl, service, id, port }, (again) =>
    tell({ news: "registered", port, again }),
  );
  registeredMs = performance.now();
  await entry.register();
  return entry;
}

async function end(entry: CatalogEntry): Promise<void> {
  await entry.leave();
  server.close(() => process.exit(0));
  server.closeIdleConnections();
}

try {
  const entry = await start();
  process.on("message", (order: BackendOrder) => {
    if (order.order === "answer") status = order.status;
    if (order.order === "leave") void entry.leave().then(() => tell({ news: "left" }));
    if (order.order === "end") void end(entry);
  });
} catch (error) {
  tell({ news: "failed", reason: error instanceof Error ? error.message : String(error) });
}
// Without the demo there is nobody to serve.
process.on("disconnect", () => process.exit(0));
