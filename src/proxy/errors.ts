import type { Outcome } from "../core/outcome.js";
import type { RetryKind } from "../core/retry.js";

/** Who caused it: we ourselves, the backend's side, or the client's side. */
export type ErrorOrigin = "ours" | "upstream" | "downstream";

/**
 * How far an exchange or tunnel had come. HAProxy's second letter of the end state (configuration manual,
 * section 8.5): `request` R, `queue` Q, `connect` C, `response-head` H, `data` D, `last-data` L.
 */
export type ErrorPhase = "request" | "queue" | "connect" | "response-head" | "data" | "last-data";

interface Kind {
  readonly origin: ErrorOrigin;
  /** What the client is told; 0 where there is nobody or nothing left to tell. */
  readonly status: number;
  /** HAProxy's first letter of the end state: who ended it, lower case for a timeout. */
  readonly letter: string;
  /** What it says about the backend whose lease was open. */
  readonly outcome: Outcome;
  /** For the reply's body: after "503 pilotfish: ", before the pool's name. Never names a backend. */
  readonly sentence: string;
}

/**
 * Every way an exchange or a tunnel can fail, each with its fixed facts. Statuses are HAProxy's: 503 where no
 * connection came about (a connect timeout included), 502 for an answer that broke or made no sense, 504 for
 * a backend that stayed silent (RFC 9110 section 15.6).
 */
const KINDS = {
  /** The backend's kernel refused the connection. */
  "connect-refused": {
    origin: "upstream",
    status: 503,
    letter: "S",
    outcome: "connect-failure",
    sentence: "connection refused by the backend",
  },
  /** The connection was not established within the pool's connect timeout. */
  "connect-timeout": {
    origin: "upstream",
    status: 503,
    letter: "s",
    outcome: "connect-failure",
    sentence: "no connection to the backend in time",
  },
  /** Unreachable, reset while connecting, and the like. */
  "connect-failed": {
    origin: "upstream",
    status: 503,
    letter: "S",
    outcome: "connect-failure",
    sentence: "the backend cannot be reached",
  },
  /** Descriptors, ports or memory ran out on our side; says nothing about the backend. */
  "connect-exhausted": {
    origin: "ours",
    status: 503,
    letter: "R",
    outcome: "ignored",
    sentence: "out of sockets for a connection to the backend",
  },
  "no-usable-backend": {
    origin: "upstream",
    status: 503,
    letter: "S",
    outcome: "ignored",
    sentence: "no usable backend",
  },
  /** All backends are at their limit and the queue is at its own. */
  "queue-full": {
    origin: "ours",
    status: 503,
    letter: "P",
    outcome: "ignored",
    sentence: "all backends busy and the queue full",
  },
  /** No slot came free within the pool's queue timeout. */
  "queue-timeout": {
    origin: "ours",
    status: 503,
    letter: "s",
    outcome: "ignored",
    sentence: "no backend came free in time",
  },
  /** The backend sent, or took, nothing for the server timeout. */
  "upstream-timeout": {
    origin: "upstream",
    status: 504,
    letter: "s",
    outcome: "timeout",
    sentence: "the backend did not answer in time",
  },
  /** The backend ended the connection before the head of its answer was whole. */
  "upstream-reset": {
    origin: "upstream",
    status: 502,
    letter: "S",
    outcome: "reset",
    sentence: "the backend closed the connection without a whole answer",
  },
  /** The backend's answer breaks the protocol. */
  "upstream-invalid": {
    origin: "upstream",
    status: 502,
    letter: "P",
    outcome: "reset",
    sentence: "the backend gave an invalid answer",
  },
  /** The backend ended the connection inside the body, when a status was sent to the client already. */
  "upstream-truncated": {
    origin: "upstream",
    status: 502,
    letter: "S",
    outcome: "reset",
    sentence: "the backend cut its answer short",
  },
  /** The request's total time, all attempts together, is over. Whether the backend is to blame depends on the phase. */
  "request-total-timeout": {
    origin: "upstream",
    status: 504,
    letter: "s",
    outcome: "timeout",
    sentence: "the request took longer than it may",
  },
  /** Both directions of a tunnel were silent for the tunnel timeout. */
  "tunnel-idle": {
    origin: "ours",
    status: 0,
    letter: "c",
    outcome: "ignored",
    sentence: "the tunnel was idle for too long",
  },
  /** The client closed or reset its connection before it had everything. */
  "client-left": {
    origin: "downstream",
    status: 0,
    letter: "C",
    outcome: "ignored",
    sentence: "the client left",
  },
  /** The client sent, or took, nothing for too long. */
  "client-timeout": {
    origin: "downstream",
    status: 408,
    letter: "c",
    outcome: "ignored",
    sentence: "the request did not arrive in time",
  },
  /** The request breaks the protocol or a limit; the status is given with the error (400, 413, 414, 417, 431, 501, 505). */
  "bad-request": {
    origin: "downstream",
    status: 400,
    letter: "P",
    outcome: "ignored",
    sentence: "bad request",
  },
  /** No route matches and the listener names no pool. */
  "not-found": {
    origin: "ours",
    status: 404,
    letter: "L",
    outcome: "ignored",
    sentence: "no route matches",
  },
  /** The process is stopping and takes no new work. */
  draining: {
    origin: "ours",
    status: 503,
    letter: "P",
    outcome: "ignored",
    sentence: "shutting down",
  },
  /** A limit of the process or the listener is reached. */
  overload: {
    origin: "ours",
    status: 503,
    letter: "P",
    outcome: "ignored",
    sentence: "too many connections",
  },
  /** We cut it: the deadline of a drained or removed backend, of a shutdown, or the operator. */
  cut: {
    origin: "ours",
    status: 503,
    letter: "K",
    outcome: "ignored",
    sentence: "ended by the operator or at the end of a drain",
  },
  /** Checks or traffic took its backend down, and its pool cuts what is open there (`onMarkedDown`). */
  "marked-down": {
    origin: "upstream",
    status: 503,
    letter: "D",
    outcome: "ignored",
    sentence: "the backend went down",
  },
  /** An active is back and its pool cuts what is open on backups (`onMarkedUp`). */
  "marked-up": {
    origin: "ours",
    status: 503,
    letter: "U",
    outcome: "ignored",
    sentence: "ended because a preferred backend is back",
  },
  /** A fault of this program. */
  internal: {
    origin: "ours",
    status: 500,
    letter: "I",
    outcome: "ignored",
    sentence: "internal error",
  },
} as const satisfies Record<string, Kind>;

/** Names of the failures. */
export type ProxyErrorCode = keyof typeof KINDS;

/** All codes, for tables in tests and documentation. */
export const PROXY_ERROR_CODES = Object.keys(KINDS) as readonly ProxyErrorCode[];

const PHASE_LETTER: Readonly<Record<ErrorPhase, string>> = {
  request: "R",
  queue: "Q",
  connect: "C",
  "response-head": "H",
  data: "D",
  "last-data": "L",
};

/** What is known of one failure besides its code. */
export interface ProxyErrorFacts {
  /** What lies beneath, such as the socket's error. */
  readonly cause?: unknown;
  /** Why, in a few constant words that the client may read ("conflicting content-length"). */
  readonly detail?: string;
  /** Replaces the code's own status; for `bad-request`. */
  readonly status?: number;
  /** Whether a byte of the request may have reached the backend. Default false. */
  readonly isSent?: boolean;
  /** Whether a part of an answer had come, if only a 1xx. Default false. */
  readonly isAnswered?: boolean;
  /** Whether the backend may have closed the connection at rest, before it saw this request. Default false. */
  readonly isStale?: boolean;
  /** What a client that gets a 503 is told to wait (RFC 9110 section 10.2.3); 0 for nothing. Default 1 second. */
  readonly retryAfterMs?: number;
}

const DEFAULT_RETRY_AFTER_MS = 1_000;

/** An expected failure of an exchange or tunnel. What follows from it is in the functions below, nowhere else. */
export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  readonly origin: ErrorOrigin;
  readonly phase: ErrorPhase;
  readonly detail: string | undefined;
  readonly isSent: boolean;
  readonly isStale: boolean;
  readonly isAnswered: boolean;
  readonly retryAfterMs: number;
  readonly #status: number | undefined;

  constructor(code: ProxyErrorCode, phase: ErrorPhase, facts: ProxyErrorFacts = {}) {
    super(facts.detail === undefined ? KINDS[code].sentence : `${KINDS[code].sentence}: ${facts.detail}`);
    this.name = "ProxyError";
    this.code = code;
    this.origin = KINDS[code].origin;
    this.phase = phase;
    this.detail = facts.detail;
    this.isSent = facts.isSent ?? false;
    this.isStale = facts.isStale ?? false;
    this.isAnswered = facts.isAnswered ?? false;
    this.retryAfterMs = facts.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
    this.#status = facts.status;
    if (facts.cause !== undefined) this.cause = facts.cause;
  }

  /** Status of the reply; 0 when the client gets none, because it left. */
  get status(): number {
    return this.#status ?? KINDS[this.code].status;
  }
}

/** What the client is told, as `text/plain`: status, whose words these are, what happened, and in which pool. */
export function replyBody(error: ProxyError, pool: string | undefined): string {
  const where = pool === undefined || error.origin === "downstream" ? "" : ` in pool ${pool}`;
  const why = error.detail === undefined ? "" : `: ${error.detail}`;
  return `${error.status} pilotfish: ${KINDS[error.code].sentence}${where}${why}\n`;
}

/** What the failure says about the backend, for the release of its lease. */
export function outcomeOf(error: ProxyError): Outcome {
  // The total time may have been used up in the queue, by earlier attempts or by a client that reads slowly:
  // only a backend that was waited for is to blame.
  if (error.code === "request-total-timeout" && error.phase !== "response-head") return "ignored";
  return KINDS[error.code].outcome;
}

/** As `outcomeOf`, where no other try follows: a connection that was closed at rest says nothing about the backend. */
export function finalOutcomeOf(error: ProxyError): Outcome {
  return error.isStale && error.code === "upstream-reset" ? "ignored" : outcomeOf(error);
}

/** Whether we ended it ourselves, so that it says nothing about the backend. */
export function isCut(error: ProxyError | undefined): boolean {
  return error?.code === "cut" || error?.code === "marked-down" || error?.code === "marked-up";
}

/** The first two letters of HAProxy's termination state (configuration manual, section 8.5). */
export function endStateOf(error: ProxyError): string {
  return KINDS[error.code].letter + PHASE_LETTER[error.phase];
}

/** The end state of what ended well. */
export const NORMAL_END = "--";

/** Whether no byte of the request can have reached a backend, so that sending it again is sending it once. */
export function isUnsent(error: ProxyError): boolean {
  if (KINDS[error.code].outcome === "connect-failure") return true;
  return error.code === "upstream-reset" && error.phase === "response-head" && !error.isSent;
}

/** HAProxy's `retry-on` word for a failure; undefined for what nobody tries again. */
export function retryKindOf(error: ProxyError): RetryKind | undefined {
  if (KINDS[error.code].outcome === "connect-failure") return "conn-failure";
  if (error.phase !== "response-head") return undefined;
  switch (error.code) {
    case "upstream-reset":
      return error.isAnswered ? undefined : "empty-response";
    case "upstream-invalid":
      return "junk-response";
    case "upstream-timeout":
      return "response-timeout";
    default:
      return undefined;
  }
}

/** Names what a failed dial means; where the dial does not know, the system's error tells. */
export function connectError(
  failure: "connect-refused" | "connect-timeout" | "connect-failed",
  cause: unknown,
): ProxyError {
  const code = failure === "connect-failed" ? connectCode(errnoOf(cause)) : failure;
  return new ProxyError(code, "connect", { cause });
}

/** The system's name of an error (`ECONNREFUSED`); empty when it has none. */
export function errnoOf(cause: unknown): string {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return "";
  return typeof cause.code === "string" ? cause.code : "";
}

function connectCode(errno: string): ProxyErrorCode {
  switch (errno) {
    case "ECONNREFUSED":
      return "connect-refused";
    case "ETIMEDOUT":
      return "connect-timeout";
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "ENOMEM":
    case "EADDRNOTAVAIL":
      return "connect-exhausted";
    default:
      return "connect-failed";
  }
}
