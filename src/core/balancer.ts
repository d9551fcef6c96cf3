import type { Backend } from "./backend.js";
import type { Outcome } from "./outcome.js";

/**
 * Picks among the backends that take new work. A balancer is told of every change that concerns it, so a
 * pick never filters a list; picking alone changes nothing, `taken` does.
 */
export interface Balancer {
  /** Name in configuration and admin. */
  readonly algorithm: string;
  /** Backends it may pick from, full ones included. */
  readonly size: number;
  /** A backend became eligible. */
  add(backend: Backend): void;
  /** A backend is eligible no more. */
  remove(backend: Backend): void;
  /** Weight or limit of a filed backend changed. */
  reweigh(backend: Backend): void;
  /**
   * The backend for the next lease. Those in `avoid` are taken only when nothing else is left; undefined when
   * every backend is at its limit, or there is none. `hash`, 32 bits, is that of the request's key, for those that go
   * by one.
   */
  pick(avoid: readonly Backend[], hash?: number): Backend | undefined;
  /** Where a hash belongs, whatever the load; of those that go by one. */
  placeOf?(hash: number): Backend | undefined;
  /**
   * Where a key belongs even while that backend is at its limit, outside `avoid`: whoever has the key waits there.
   * Left out, or undefined, where a key goes elsewhere rather than wait.
   */
  home?(avoid: readonly Backend[], hash: number): Backend | undefined;
  /** A lease was taken on a filed backend; its row counts it already. */
  taken(backend: Backend): void;
  /** A lease was given back on a filed backend; its row counts it already. */
  released(backend: Backend): void;
  /**
   * How a lease on a filed backend went, told before its release, to those that go by latency.
   *
   * @param latencyMs from sending to the begin of the answer; below 0 when there was none
   */
  observe?(backend: Backend, latencyMs: number, outcome: Outcome, nowMs: number): void;
}
