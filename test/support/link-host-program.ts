/**
 * A host on a link of its own, for a process in another network namespace: announces one instance of a service on the
 * port of multicast DNS and serves it by HTTP. Arguments: service type, label, address. `withdraw` on standard
 * input takes the instance back.
 */
import { createServer } from "node:http";
import { LinkResponder } from "./link-responder.js";

const MDNS_PORT = 5353;

const [service = "", label = "", address = ""] = process.argv.slice(2);
const server = createServer((_request, response) => response.end(`from ${label} at ${address}`));
await new Promise<void>((resolve) => server.listen(0, address, resolve));
const bound = server.address();
if (bound === null || typeof bound === "string") throw new Error("no port");
const responder = await LinkResponder.open(service, MDNS_PORT, address);
await responder.announce({ label, port: bound.port, address });
process.stdin.on("data", (line) => {
  if (line.toString().trim() === "withdraw") void responder.withdraw(label);
});
process.stdout.write("announced\n");
