import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CatalogStore, type NodeFields } from "./registry/catalog-store.js";
import { Exchange, type Reply } from "./registry/exchange.js";
import { HttpProblem } from "./registry/http-problem.js";
import { KeyStore } from "./registry/key-store.js";
import { LocalAgent } from "./registry/local-agent.js";
import { RaftIndex } from "./registry/raft-index.js";
import { Router } from "./registry/router.js";
import { agentRoutes } from "./registry/routes-agent.js";
import { catalogRoutes } from "./registry/routes-catalog.js";
import { healthRoutes } from "./registry/routes-health.js";
import { keyRoutes } from "./registry/routes-kv.js";
import { serverPort, spokenVersion, statusRoutes } from "./registry/routes-status.js";
import { WaitList } from "./registry/wait-list.js";

/** Where the embedded catalog listens and how it calls itself. */
export interface RegistryOptions {
  /** Address to bind; a name or IP without brackets. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Default `embedded`. */
  readonly nodeName?: string;
  /** Default `dc1`. */
  readonly datacenter?: string;
  /** Randomness of waits and check schedules, 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** A running catalog. */
export interface Registry {
  /** `http://host:port`, without a path. */
  readonly url: string;
  readonly port: number;
  /** Ends every open request and every check. The content is lost. */
  close(): Promise<void>;
}

/** Writes a Consul server makes before it lists itself: no list of a running catalog has index 1. */
const bootIndex = 10;
const maxConnections = 4096;
const maxWaiting = 2048;

/**
 * Starts a catalog that speaks the parts of Consul 1.8's HTTP API that register, check, list and watch services
 * and keys, so that clients of Consul work against it unchanged. It keeps everything in memory, knows one
 * agent and no access control: for development, demonstrations and tests.
 * @throws the bind error
 */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const random = options.random ?? Math.random;
  const datacenter = options.datacenter ?? "dc1";
  const address = options.host === "localhost" ? "127.0.0.1" : options.host;
  const node = describeNode(options.nodeName ?? "embedded", datacenter, address);
  const waits = new WaitList(maxWaiting);
  const notify = () => waits.notify();
  const raft = new RaftIndex(bootIndex);
  const catalog = new CatalogStore(raft, notify);
  const keys = new KeyStore(raft, notify);
  registerSelf(catalog, node);
  const agent = new LocalAgent(catalog, node, random, notify);
  const router = new Router([
    ...agentRoutes(agent),
    ...catalogRoutes(catalog, datacenter),
    ...healthRoutes(catalog),
    ...keyRoutes(keys),
    ...statusRoutes(node),
  ]);
  const server = createServer((message, response) => {
    void serve(router, message, response, { waits, datacenter, random });
  });
  server.maxConnections = maxConnections;
  const port = await listen(server, options);
  return {
    url: `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`,
    port,
    close: () => {
      agent.close();
      waits.close();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: ReturnType<typeof createServer>, options: RegistryOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      const bound: AddressInfo | string | null = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : options.port);
    });
  });
}

function describeNode(name: string, datacenter: string, address: string): NodeFields {
  const family = address.includes(":") ? 6 : 4;
  return {
    ID: randomUUID(),
    Node: name,
    Address: address,
    Datacenter: datacenter,
    TaggedAddresses: {
      lan: address,
      [`lan_ipv${family}`]: address,
      wan: address,
      [`wan_ipv${family}`]: address,
    },
    Meta: { "consul-network-segment": "" },
  };
}

/** A server of Consul lists itself as the service `consul` with the check its peers keep of it. */
function registerSelf(catalog: CatalogStore, node: NodeFields): void {
  catalog.register({
    node,
    service: {
      ID: "consul",
      Service: "consul",
      Tags: [],
      Address: "",
      TaggedAddresses: {},
      Meta: {
        non_voter: "false",
        raft_version: "3",
        serf_protocol_current: "2",
        serf_protocol_max: "5",
        serf_protocol_min: "1",
        version: spokenVersion,
      },
      Port: serverPort,
      Weights: { Passing: 1, Warning: 1 },
      EnableTagOverride: false,
    },
    checks: [
      {
        Node: node.Node,
        CheckID: "serfHealth",
        Name: "Serf Health Status",
        Status: "passing",
        Notes: "",
        Output: "Agent alive and reachable",
        ServiceID: "",
        ServiceName: "",
        ServiceTags: [],
        Type: "",
        Definition: {},
      },
    ],
  });
}

interface Surroundings {
  readonly waits: WaitList;
  readonly datacenter: string;
  readonly random: () => number;
}

async function serve(
  router: Router,
  message: IncomingMessage,
  response: ServerResponse,
  surroundings: Surroundings,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const reply = await answer(router, message, { ...surroundings, signal: gone.signal }).catch(replyToFailure);
  if (response.destroyed) return;
  const headers: Record<string, string> = { Vary: "Accept-Encoding", ...reply.headers };
  if (reply.contentType !== undefined) headers["Content-Type"] = reply.contentType;
  // A body that was refused unread would be taken for the next request.
  if (!message.complete) headers.Connection = "close";
  response.writeHead(reply.status, { ...headers, "Content-Length": Buffer.byteLength(reply.body) });
  response.end(reply.body);
}

async function answer(
  router: Router,
  message: IncomingMessage,
  surroundings: Surroundings & { readonly signal: AbortSignal },
): Promise<Reply> {
  const [rawPath = "/", ...rest] = (message.url ?? "/").split("?");
  const match = router.match(message.method ?? "GET", decodePath(rawPath));
  if (match.kind === "redirect") {
    const location = [match.location, ...rest].join("?");
    const body = `<a href="${encodeURI(location)}">Moved Permanently</a>.\n\n`;
    return {
      status: 301,
      contentType: "text/html; charset=utf-8",
      body,
      headers: { Location: encodeURI(location) },
    };
  }
  if (match.kind === "options") return { status: 200, body: "", headers: { Allow: match.allow } };
  const query = new URLSearchParams(rest.join("?"));
  return match.handler(new Exchange(message, query, match.rest, surroundings));
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new HttpProblem(400, "Bad Request");
  }
}

function replyToFailure(error: unknown): Reply {
  const status = error instanceof HttpProblem ? error.status : 500;
  const headers = error instanceof HttpProblem ? error.headers : {};
  const body = error instanceof Error ? error.message : String(error);
  return { status, headers, body, ...(body !== "" && { contentType: "text/plain; charset=utf-8" }) };
}
