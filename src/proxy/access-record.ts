import type { Backend } from "../core/backend.js";
import { endStateOf, NORMAL_END, type ProxyError } from "./errors.js";

/** Where no affinity by cookie is at work. */
const NO_COOKIE_STATE = "--";

/** A timer of something that was not reached, as HAProxy logs it. */
export const NOT_REACHED = -1;

/**
 * Request path. What is known of one exchange or one tunnel when it ends; filled in on the way, handed to the
 * access log once, which formats it before `write` returns, so that one record can serve all exchanges of a
 * connection (`begin` makes it new).
 *
 * Timers are HAProxy's (configuration manual, section 8.4), in milliseconds with fractions, `NOT_REACHED`
 * until their event has happened.
 */
export class AccessRecord {
  readonly protocol: "http" | "tcp";
  readonly listener: string;
  /** IP literal, empty on a unix socket. */
  clientAddress = "";
  clientPort = 0;
  /** Wall time of the accept, or of a request's first byte. */
  startedWallMs = 0;

  /** The pool that was chosen; undefined when none was. */
  pool: string | undefined;
  /** Service id (or given id) of the last backend tried, and its `host:port`. */
  backend: string | undefined;
  backendAddress: string | undefined;

  /** TR: from the first byte of the request to the end of its head. Stays at 0 for a tunnel. */
  requestMs = NOT_REACHED;
  /** Tw: in the queue. */
  queueMs = NOT_REACHED;
  /** Tc: connecting, all attempts together; 0 on a reused connection. */
  connectMs = NOT_REACHED;
  /** Tr: from the connection to the end of the response's head. */
  responseMs = NOT_REACHED;
  /** Ta for an exchange, Tt for a tunnel: all of it. */
  totalMs = 0;

  /** Sent to the client; 0 when no response began. */
  status = 0;
  /** Read from the client, heads included. */
  bytesIn = 0;
  /** Sent to the client, heads included. */
  bytesOut = 0;

  /** As received; empty when no request line was understood. */
  method = "";
  target = "";
  version = "";
  host = "";

  /** HAProxy's first two letters of the termination state. */
  endState = NORMAL_END;
  /** HAProxy's third and fourth letter: what the client's cookie said, and what was done to the answer's. */
  cookieState = NO_COOKIE_STATE;
  /** `ProxyError.code`; undefined when it ended well. */
  errorCode: string | undefined;

  /** Tries after the first. */
  retries = 0;
  /** Whether a later try went to another backend. */
  isRedispatched = false;
  /** What became of the try beside the first one; undefined when there was none. */
  hedge: "won" | "lost" | undefined = undefined;
  /** Whether the upstream connection had served before. */
  isReused = false;
  /** How many were ahead of it where it waited: for any backend of the pool, and for the one it is bound to. */
  queuePosition = 0;
  backendQueuePosition = 0;

  /** Open at the end, this one included: of the process, the listener, the pool (with its queue), the backend. */
  processConnections = 0;
  listenerConnections = 0;
  poolConnections = 0;
  backendConnections = 0;

  constructor(protocol: "http" | "tcp", listener: string) {
    this.protocol = protocol;
    this.listener = listener;
  }

  /** Forgets the last exchange. The client stays. */
  begin(startedWallMs: number): void {
    this.startedWallMs = startedWallMs;
    this.pool = undefined;
    this.backend = undefined;
    this.backendAddress = undefined;
    this.requestMs = NOT_REACHED;
    this.queueMs = NOT_REACHED;
    this.connectMs = NOT_REACHED;
    this.responseMs = NOT_REACHED;
    this.totalMs = 0;
    this.status = 0;
    this.bytesIn = 0;
    this.bytesOut = 0;
    this.method = "";
    this.target = "";
    this.version = "";
    this.host = "";
    this.endState = NORMAL_END;
    this.cookieState = NO_COOKIE_STATE;
    this.errorCode = undefined;
    this.retries = 0;
    this.isRedispatched = false;
    this.hedge = undefined;
    this.isReused = false;
    this.queuePosition = 0;
    this.backendQueuePosition = 0;
  }

  /** Names the backend that is tried now. */
  try(backend: Backend): void {
    this.backend = backend.endpoint.id;
    this.backendAddress = backend.address;
  }

  /** It is over: `status` is the answer's, 0 where there was none and the failure's counts. */
  end(status: number, totalMs: number, error: ProxyError | undefined): void {
    if (error !== undefined) this.fail(error);
    this.status = status > 0 ? status : (error?.status ?? 0);
    this.totalMs = totalMs;
  }

  /** States how it ended; the first failure is the one that counts. */
  fail(error: ProxyError): void {
    if (this.errorCode !== undefined) return;
    this.endState = endStateOf(error);
    this.errorCode = error.code;
  }
}

/** Takes finished records. Never waits and never throws. */
export interface AccessSink {
  write(record: AccessRecord): void;
}
