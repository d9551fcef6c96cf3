import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/** One request as it came over the wire. */
export interface ReceivedRequest {
  readonly target: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Counts connections from 1. */
  readonly connection: number;
}

/** What to do with a request: write what you like to the socket, or nothing. */
export type Script = (socket: Socket, request: ReceivedRequest) => void;

export interface ScriptedAgentOptions {
  readonly host?: string;
  /** Listens here instead of on a TCP port. */
  readonly socketPath?: string;
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca?: string;
    readonly requestCert?: boolean;
  };
}

/**
 * A Consul agent made of raw sockets, so that it can misbehave in every way a socket can. Answers each request
 * by the script in force.
 */
export class ScriptedAgent {
  readonly requests: ReceivedRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #script: Script;
  #connections = 0;
  #address = "";

  private constructor(script: Script, options: ScriptedAgentOptions) {
    this.#script = script;
    const accept = (socket: Socket) => this.#accept(socket);
    this.#server = options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
  }

  /** Listens on a free port of the loopback address (or where the options say). */
  static async start(script: Script, options: ScriptedAgentOptions = {}): Promise<ScriptedAgent> {
    const agent = new ScriptedAgent(script, options);
    const host = options.host ?? "127.0.0.1";
    await new Promise<void>((resolve, reject) => {
      agent.#server.once("error", reject);
      if (options.socketPath === undefined) agent.#server.listen(0, host, resolve);
      else agent.#server.listen(options.socketPath, resolve);
    });
    const found = agent.#server.address();
    const scheme = options.tls === undefined ? "http" : "https";
    const shown = host.includes(":") ? `[${host}]` : host;
    agent.#address =
      found !== null && typeof found === "object" ? `${scheme}://${shown}:${found.port}` : `unix://${found}`;
    return agent;
  }

  /** As the configuration wants it. */
  get address(): string {
    return this.#address;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size;
  }

  setScript(script: Script): void {
    this.#script = script;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#connections += 1;
    const connection = this.#connections;
    let received = "";
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
        const request = parseHead(received.slice(0, end), connection);
        received = received.slice(end + 4);
        this.requests.push(request);
        this.#script(socket, request);
      }
    });
  }
}

function parseHead(head: string, connection: number): ReceivedRequest {
  const [first = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { target: first.split(" ")[1] ?? "", headers, connection };
}

/** A complete answer as bytes of the wire. */
export function wireAnswer(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const all: Record<string, string> = {
    "Content-Type": "application/json",
    "X-Consul-Index": "10",
    "Content-Length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Status\r\n${lines.join("")}\r\n${body}`;
}

/** Scripts of the ways in which an agent, or what stands before it, fails. */
export const scripts = {
  /** Answers with this body. */
  answer:
    (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Script =>
    (socket) =>
      socket.write(wireAnswer(status, body, headers)),
  /** Never answers. */
  hang: (): Script => () => {},
  /** Head and half a body, then silence. */
  stall: (): Script => (socket) => socket.write(wireAnswer(200, '[{"Node":{}}]').slice(0, -6)),
  /** Head and half a body, then an orderly end. */
  cutShort: (): Script => (socket) => socket.end(wireAnswer(200, '[{"Node":{}}]').slice(0, -6)),
  /** A chunked body without its last chunk. */
  cutChunks: (): Script => (socket) =>
    socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Consul-Index: 1\r\n\r\n3\r\n[1,\r\n"),
  /** Resets the connection without a word. */
  reset: (): Script => (socket) => socket.resetAndDestroy(),
  /** Resets it inside the body. */
  resetInBody: (): Script => (socket) =>
    socket.write(wireAnswer(200, '[{"Node":{}}]').slice(0, -6), () => socket.resetAndDestroy()),
  /** A proxy's page, with the status of success. */
  html: (): Script => (socket) =>
    socket.write(wireAnswer(200, "<html><body>Back soon</body></html>", { "Content-Type": "text/html" })),
  /** Not HTTP at all. */
  garbage: (): Script => (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"),
} as const;
