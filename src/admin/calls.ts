import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import { AdminRefusal, exhausted } from "./refusal.js";

/** Most streams of all clients together. */
const MOST_STREAMS = 64;

/** An open stream as its method sees it. */
export interface Watcher {
  /** The client left, or the server stops. The method should return soon. */
  readonly isOver: boolean;
  /** Returns after the time, after `wake`, or when the stream is over. */
  pause(delayMs: number | undefined): Promise<void>;
  /** Ends the pause, or the next one when none is under way. */
  wake(): void;
}

class OpenStream implements Watcher {
  readonly #clock: Clock;
  #isOver = false;
  #isWoken = false;
  #resume: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async pause(delayMs: number | undefined): Promise<void> {
    if (!this.#isWoken && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
        const timer = delayMs === undefined ? undefined : this.#clock.after(delayMs, resolve);
        if (timer !== undefined) {
          this.#resume = () => {
            timer.cancel();
            resolve();
          };
        }
      });
      this.#resume = undefined;
    }
    this.#isWoken = false;
  }

  wake(): void {
    this.#isWoken = true;
    this.#resume?.();
  }

  close(): void {
    this.#isOver = true;
    this.wake();
  }
}

/** Answers one request, or throws an `AdminRefusal`. */
export type UnaryMethod<Request, Response> = (request: Request) => Response;

/** Answers one request that takes its time. */
export type SlowMethod<Request, Response> = (request: Request) => Promise<Response>;

/**
 * Answers one request with many messages. It is asked for the next one only when the client has taken the one
 * before, so a slow client holds nothing back but itself. What it throws before the first message refuses
 * the call.
 */
export type StreamMethod<Request, Response> = (
  request: Request,
  watcher: Watcher,
) => AsyncGenerator<Response, void, void>;

/** Carries methods to gRPC: turns refusals into statuses, paces streams and ends them when the server stops. */
export class Calls {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #streams = new Set<OpenStream>();
  #isStopping = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  unary<Request, Response>(method: UnaryMethod<Request, Response>): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      try {
        callback(null, method(call.request));
      } catch (error) {
        callback(this.#refusalOf(error, call.getPath()));
      }
    };
  }

  slow<Request, Response>(method: SlowMethod<Request, Response>): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      method(call.request).then(
        (answer) => callback(null, answer),
        (error: unknown) => callback(this.#refusalOf(error, call.getPath())),
      );
    };
  }

  stream<Request, Response>(
    method: StreamMethod<Request, Response>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      void this.#run(call, method);
    };
  }

  /** Ends every stream with UNAVAILABLE and refuses new ones. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#streams) stream.close();
  }

  async #run<Request, Response>(
    call: ServerWritableStream<Request, Response>,
    method: StreamMethod<Request, Response>,
  ): Promise<void> {
    const stream = new OpenStream(this.#clock);
    const close = () => stream.close();
    call.once("cancelled", close);
    call.once("close", close);
    try {
      if (this.#streams.size >= MOST_STREAMS)
        throw exhausted(`${MOST_STREAMS} streams are open, which is the limit`);
      if (this.#isStopping) stream.close();
      this.#streams.add(stream);
      for await (const message of method(call.request, stream)) {
        if (stream.isOver && call.cancelled) break;
        if (!call.write(message)) await drained(call, stream);
      }
      if (this.#isStopping) throw new AdminRefusal(status.UNAVAILABLE, "the admin server stops");
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit("error", this.#refusalOf(error, call.getPath()));
    } finally {
      this.#streams.delete(stream);
      stream.close();
    }
  }

  #refusalOf(error: unknown, path: string): { code: status; details: string } {
    if (error instanceof AdminRefusal) return { code: error.code, details: error.message };
    this.#log.error({ path, err: error }, "admin call failed");
    return { code: status.INTERNAL, details: "internal error; the log of the proxy says more" };
  }
}

/** Until the client has taken what was written, or is gone. */
async function drained(call: ServerWritableStream<unknown, unknown>, stream: OpenStream): Promise<void> {
  let isDrained = false;
  const drain = () => {
    isDrained = true;
    stream.wake();
  };
  call.once("drain", drain);
  while (!isDrained && !stream.isOver) await stream.pause(undefined);
  call.off("drain", drain);
}
