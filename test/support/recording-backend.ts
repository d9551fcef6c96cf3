import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { until } from "./raw-client.js";

/** A request as it was forwarded, to the byte. */
export interface ForwardedRequest {
  /** Request line and field lines, without the empty line. */
  readonly head: string;
  /** As framed: a chunked body with its chunks. */
  readonly body: string;
  /** Number of the connection it came on, in order of arrival. */
  readonly connection: number;
}

/** What a backend does with a request: bytes to answer, and what becomes of the connection then. */
export interface Answer {
  /** Portions, each written apart. */
  readonly portions: readonly (string | Buffer)[];
  readonly after?: "keep" | "end" | "reset";
}

/** Chooses the answer to a whole request; undefined for silence. */
export type Script = (request: ForwardedRequest, index: number) => Answer | undefined;

export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Answers with these bytes. */
export function answer(text: string | Buffer, after: "keep" | "end" | "reset" = "keep"): Answer {
  return { portions: [text], after };
}

/** One connection of a backend. */
export class BackendConnection {
  readonly socket: Socket;
  readonly index: number;
  /** All bytes that came. */
  text = "";
  /** The proxy will send no more, or is gone. */
  hasEnded = false;
  isClosed = false;
  /** How much of the text belongs to requests taken out already. */
  taken = 0;
  /** No whole request before the text is this long. */
  wantedLength = 0;
  isInLargeChunks = false;

  constructor(socket: Socket, index: number) {
    this.socket = socket;
    this.index = index;
  }
}

/**
 * A backend on a bare socket: records what was forwarded and answers scripted bytes. It reads requests by a
 * framing of its own, strict to the one spelling the proxy writes.
 */
export class RecordingBackend {
  readonly connections: BackendConnection[] = [];
  readonly requests: ForwardedRequest[] = [];
  script: Script = () => answer(OK);
  /** Called with bytes before they are looked at; true keeps the connection from being read as requests. */
  onBytes: ((connection: BackendConnection) => boolean) | undefined;
  readonly #server: Server;
  #isStalled = false;

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(): Promise<RecordingBackend> {
    const backend = new RecordingBackend();
    backend.#server.listen(0, "127.0.0.1");
    await once(backend.#server, "listening");
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are still open. */
  get open(): number {
    return this.connections.filter(({ isClosed }) => !isClosed).length;
  }

  /** All bytes that came, over all connections. */
  get text(): string {
    return this.connections.map(({ text }) => text).join("");
  }

  /** Forgets what was recorded. Open connections stay, their numbers too. */
  forget(): void {
    this.requests.length = 0;
    for (const connection of this.connections) {
      connection.text = "";
      connection.taken = 0;
      connection.wantedLength = 0;
    }
  }

  /** Reads nothing more on any connection. */
  stall(): void {
    this.#isStalled = true;
    for (const { socket } of this.connections) socket.pause();
  }

  unstall(): void {
    this.#isStalled = false;
    for (const { socket } of this.connections) socket.resume();
  }

  /** The request with this number, once it is there whole. */
  async request(index: number): Promise<ForwardedRequest> {
    await until(() => this.requests[index] !== undefined);
    return this.requests[index] as ForwardedRequest;
  }

  /** The connection with this number, once it is there. */
  async connection(index: number): Promise<BackendConnection> {
    await until(() => this.connections[index] !== undefined);
    return this.connections[index] as BackendConnection;
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(socket: Socket): void {
    const connection = new BackendConnection(socket, this.connections.length);
    this.connections.push(connection);
    if (this.#isStalled) socket.pause();
    socket.on("data", (chunk: Buffer) => {
      connection.text += chunk.toString("latin1");
      // A large body is searched for its end only where it may be.
      if (connection.isInLargeChunks && !chunk.toString("latin1").endsWith("\r\n\r\n")) return;
      if (this.onBytes?.(connection) !== true) this.#takeRequests(connection);
    });
    socket.on("end", () => {
      connection.hasEnded = true;
      socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      connection.hasEnded = true;
      connection.isClosed = true;
    });
  }

  #takeRequests(connection: BackendConnection): void {
    for (;;) {
      const request = nextRequest(connection);
      if (request === undefined) return;
      const index = this.requests.push(request) - 1;
      void reply(connection.socket, this.script(request, index));
    }
  }
}

async function reply(socket: Socket, given: Answer | undefined): Promise<void> {
  if (given === undefined) return;
  for (const portion of given.portions) {
    const bytes = typeof portion === "string" ? Buffer.from(portion, "latin1") : portion;
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    if (given.portions.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  if (given.after === "end") socket.end();
  else if (given.after === "reset") socket.resetAndDestroy();
}

function nextRequest(connection: BackendConnection): ForwardedRequest | undefined {
  if (connection.text.length < connection.wantedLength) return undefined;
  const text = connection.text.slice(connection.taken);
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const length = bodyLength(head, text.slice(headEnd + 4));
  if (length === undefined) {
    // Large bodies are not searched anew for each portion.
    const announced = Number(/\r\ncontent-length: (\d+)(\r\n|$)/.exec(head)?.[1] ?? 0);
    connection.wantedLength = connection.taken + headEnd + 4 + announced;
    connection.isInLargeChunks = announced === 0 && text.length > 262_144;
    return undefined;
  }
  connection.isInLargeChunks = false;
  connection.taken += headEnd + 4 + length;
  return { head, body: text.slice(headEnd + 4, headEnd + 4 + length), connection: connection.index };
}

/** Bytes of the body as framed; undefined while it is not whole. */
function bodyLength(head: string, rest: string): number | undefined {
  if (/\r\ntransfer-encoding: chunked(\r\n|$)/.test(head)) return chunkedLength(rest);
  const length = Number(/\r\ncontent-length: (\d+)(\r\n|$)/.exec(head)?.[1] ?? 0);
  return rest.length >= length ? length : undefined;
}

function chunkedLength(rest: string): number | undefined {
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(rest.slice(at, lineEnd), 16);
    if (size === 0) {
      const end = rest.startsWith("\r\n", lineEnd + 2) ? lineEnd : rest.indexOf("\r\n\r\n", lineEnd);
      return end < 0 ? undefined : end + 4;
    }
    at = lineEnd + 2 + size + 2;
    if (rest.length < at) return undefined;
  }
}

/** The data of a chunked body, without its framing and trailers. */
export function chunkedData(framed: string): string {
  let data = "";
  let at = 0;
  for (;;) {
    const lineEnd = framed.indexOf("\r\n", at);
    const size = Number.parseInt(framed.slice(at, lineEnd), 16);
    if (!(size > 0)) return data;
    data += framed.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
