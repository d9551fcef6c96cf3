/**
 * What a process and the one that takes its place tell each other, in this order:
 *
 * 1. successor: `hello`, once it has read its configuration
 * 2. predecessor: `begin`, with what it learnt so far
 * 3. successor: `serving`, once its listeners accept on the sockets it was given
 * 4. predecessor: `released`, once it takes no calls of operators any more, with what it learnt meanwhile
 * 5. successor: `settled`, once it has these; only now the predecessor stops accepting
 */
export type SuccessorMessage =
  | { readonly say: "hello" }
  | { readonly say: "serving" }
  | { readonly say: "settled" };

/** The other direction. */
export interface PredecessorMessage {
  readonly say: "begin" | "released";
  readonly learnt: Learnt;
}

/** What is told of what a process learnt. Each part is checked by who takes it. */
export interface Learnt {
  /** What operators said. */
  readonly overrides?: unknown;
  /** Which backends are not well. */
  readonly health?: unknown;
  /** Who is bound to which backend by a table: everything first, then what was used since. */
  readonly tables?: unknown;
}

/** Environment variable that names the handed-over sockets: JSON, a list of `HandedSocket`. */
export const HANDOVER_VARIABLE = "PILOTFISH_HANDOVER";

/** A listening socket that a process gives away. */
export interface HandedSocket {
  /** Name of the listener. */
  readonly listener: string;
  /** As configured: `host:port`, `unix:/path`, `fd:N`. */
  readonly address: string;
  readonly fd: number;
  /** Whether the service manager opened it, and its path in the file system is none of ours. */
  readonly isManaged: boolean;
}
