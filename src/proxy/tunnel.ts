import type { Lease } from "../core/lease.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Connection, ConnectionHandler } from "./connection.js";
import { ProxyError } from "./errors.js";
import type { WebSocketFarewell } from "./websocket.js";

/** How long both ends may take to close once they were told. */
const FAREWELL_MS = 500;

/** Told once, when both connections of a tunnel are gone. */
export interface TunnelOwner {
  /**
   * The backend reset its connection before anything passed either way. Who answers true has taken the client back, as
   * it was before; the tunnel is no more.
   */
  onLostUntouched?(cause: Error): boolean;
  onTunnelClosed(tunnel: Tunnel): void;
}

/** What a tunnel joins, and for how long. */
export interface TunnelOptions {
  readonly client: Connection;
  readonly upstream: Connection;
  /** Its backend's row counts the bytes. Released by the owner. */
  readonly lease: Lease;
  readonly clock: Clock;
  /** Longest silence of both directions together; 0 for no limit. */
  readonly idleMs: number;
  readonly owner: TunnelOwner;
  /** Knows how to tell both ends that it is over; without it there is no word for that. */
  readonly farewell?: WebSocketFarewell | undefined;
}

/**
 * Request path. One opaque stream of bytes both ways between two open connections.
 *
 * A reader that is slow holds its writer back. An end of one direction is passed on and leaves the other one
 * open (RFC 9293 section 3.6); a reset is passed on as a reset, so that neither side takes a cut for an end.
 */
export class Tunnel {
  readonly #client: Connection;
  readonly #upstream: Connection;
  readonly #lease: Lease;
  readonly #owner: TunnelOwner;
  readonly #clock: Clock;
  readonly #farewell: WebSocketFarewell | undefined;
  readonly #idleTimer: Timer | undefined;
  /** Runs from the farewell on; nothing is passed on any more. */
  #farewellTimer: Timer | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #open = 2;
  #isUntouched = true;
  #error: ProxyError | undefined;

  constructor(options: TunnelOptions) {
    this.#client = options.client;
    this.#upstream = options.upstream;
    this.#lease = options.lease;
    this.#owner = options.owner;
    this.#clock = options.clock;
    this.#farewell = options.farewell;
    if (options.idleMs > 0) this.#idleTimer = options.clock.after(options.idleMs, () => this.#idle());
  }

  /** Bytes the client sent through the tunnel. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Bytes the backend sent through the tunnel. */
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** What ended it; undefined after an orderly end. */
  get error(): ProxyError | undefined {
    return this.#error;
  }

  /**
   * Takes both connections over and lets them flow. What was read of them before is sent first.
   */
  start(fromClient?: Uint8Array, fromUpstream?: Uint8Array): void {
    this.#client.handler = new Side(this, "client", this.#client, this.#upstream);
    this.#upstream.handler = new Side(this, "backend", this.#upstream, this.#client);
    this.#client.resume();
    this.#upstream.resume();
    if (fromClient !== undefined && fromClient.length > 0)
      this.#client.handler.onData(Buffer.from(fromClient));
    if (fromUpstream !== undefined && fromUpstream.length > 0) {
      this.#upstream.handler.onData(Buffer.from(fromUpstream));
    }
  }

  /** Ends it now, both ways, with resets. The owner is told as in any other end. */
  break(error: ProxyError): void {
    this.#error ??= error;
    this.#client.reset();
    this.#upstream.reset();
  }

  /**
   * Ends it in good order where its protocol has a word for that, telling both ends and giving them half a second;
   * otherwise as `break` does.
   */
  part(error: ProxyError): void {
    const toClient = this.#farewell?.to("client");
    const toBackend = this.#farewell?.to("backend");
    if (this.#isParting || (toClient === undefined && toBackend === undefined)) {
      this.break(error);
      return;
    }
    this.#error ??= error;
    this.#idleTimer?.cancel();
    this.#farewellTimer = this.#clock.after(FAREWELL_MS, () => this.break(error));
    tell(this.#client, toClient);
    tell(this.#upstream, toBackend);
  }

  /** For a side: bytes came. False where they are not passed on. */
  takes(from: Origin, bytes: Buffer): boolean {
    if (this.#isParting) return false;
    this.#farewell?.passed(from, bytes);
    const { row } = this.#lease.backend;
    if (from === "client") {
      this.#bytesIn += bytes.length;
      row.add(COUNTER.bytesIn, this.#lease.writer, bytes.length);
    } else {
      this.#bytesOut += bytes.length;
      row.add(COUNTER.bytesOut, this.#lease.writer, bytes.length);
    }
    this.touched();
    return true;
  }

  get #isParting(): boolean {
    return this.#farewellTimer !== undefined;
  }

  /** For a side: a queue emptied or an end was passed on, which is a sign of life too. */
  touched(): void {
    this.#isUntouched = false;
    if (!this.#isParting) this.#idleTimer?.restart();
  }

  /** For a side: its connection is gone. */
  sideClosed(from: Origin, cause: Error | undefined): void {
    if (cause !== undefined && from === "backend" && this.#isUntouched && this.#error === undefined) {
      if (this.#owner.onLostUntouched?.(cause) === true) {
        this.#idleTimer?.cancel();
        return;
      }
    }
    this.#open--;
    if (cause !== undefined) {
      const code = from === "client" ? "client-left" : "upstream-reset";
      if (this.#open > 0) this.break(new ProxyError(code, "data", { cause }));
    }
    if (this.#open > 0) return;
    this.#idleTimer?.cancel();
    this.#farewellTimer?.cancel();
    this.#owner.onTunnelClosed(this);
  }

  #idle(): void {
    this.part(new ProxyError("tunnel-idle", "data"));
  }
}

type Origin = "client" | "backend";

/** Sends the last word, whether or not the side reads what came before. */
function tell(connection: Connection, word: Buffer | undefined): void {
  if (word === undefined) {
    connection.reset();
    return;
  }
  connection.write(word);
  connection.end();
  connection.resume();
}

/** What comes from one of the two connections and goes to the other. */
class Side implements ConnectionHandler {
  readonly #tunnel: Tunnel;
  readonly #origin: Origin;
  readonly #own: Connection;
  readonly #peer: Connection;

  constructor(tunnel: Tunnel, origin: Origin, own: Connection, peer: Connection) {
    this.#tunnel = tunnel;
    this.#origin = origin;
    this.#own = own;
    this.#peer = peer;
  }

  onData(chunk: Buffer): void {
    if (this.#tunnel.takes(this.#origin, chunk) && !this.#peer.write(chunk)) this.#own.pause();
  }

  onEnd(): void {
    this.#tunnel.touched();
    this.#peer.end();
  }

  onDrain(): void {
    this.#tunnel.touched();
    this.#peer.resume();
  }

  onClose(error: Error | undefined): void {
    this.#tunnel.sideClosed(this.#origin, error);
  }
}
