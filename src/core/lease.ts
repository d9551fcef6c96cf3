import type { Backend } from "./backend.js";
import type { Outcome } from "./outcome.js";

/** What a lease needs of its pool. */
export interface LeaseOwner {
  settle(lease: Lease, outcome: Outcome, status: number, nowMs: number): void;
  invariantBroken(what: string): void;
}

/** Request path. One taken slot of a backend. It is given back exactly once, with an outcome. */
export class Lease {
  readonly backend: Backend;
  readonly takenMs: number;
  /** The thread that counts. */
  readonly writer: number;
  /** Whether it carries a tunnel of a TCP listener rather than a request. */
  readonly isTunnel: boolean;
  /** What detection takes the status for, where the answer's own does not tell (gRPC); 0 where it does. */
  judgedStatus = 0;
  /** From the request's sending to the begin of the answer; below 0 when there was none. */
  latencyMs = -1;
  readonly #owner: LeaseOwner;
  #isOpen = true;

  constructor(owner: LeaseOwner, backend: Backend, writer: number, nowMs: number, isTunnel = false) {
    this.#owner = owner;
    this.backend = backend;
    this.writer = writer;
    this.takenMs = nowMs;
    this.isTunnel = isTunnel;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Gives the slot back. `status` is the HTTP status the backend answered, 0 where there was none. A second
   * release changes nothing and is reported as a broken invariant.
   */
  release(outcome: Outcome, status: number, nowMs: number): void {
    if (!this.#isOpen) {
      this.#owner.invariantBroken(`a lease on ${this.backend.id} was released twice`);
      return;
    }
    this.#isOpen = false;
    this.#owner.settle(this, outcome, status, nowMs);
  }
}
