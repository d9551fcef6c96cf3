import type { DnsHoldConfig } from "../../../config/dns-model.js";
import { type Endpoint, rowIdOf } from "../../../core/endpoint.js";
import type { DnsFailureKind } from "./client.js";

/**
 * What a pool is told while answers come and fail to come: HAProxy's `hold` rules. The endpoints of the last
 * good answer stay in the list whatever happens; once a failure has lasted longer than its hold time they
 * take no new work, as HAProxy takes its servers down then. Pure.
 */
export class HeldList {
  readonly #hold: DnsHoldConfig;
  #endpoints: readonly Endpoint[] | undefined;
  /** When an endpoint that stands in no answer any more leaves, by row. */
  #leaving = new Map<string, number>();
  #lastGoodMs = 0;
  #failure: DnsFailureKind | undefined;

  constructor(hold: DnsHoldConfig) {
    this.#hold = hold;
  }

  /** An answer came: a complete list, with at least one endpoint. */
  accept(endpoints: readonly Endpoint[], nowMs: number): void {
    const present = new Set(endpoints.map(rowIdOf));
    const leaving = new Map<string, number>();
    const kept = (this.#endpoints ?? []).filter((endpoint) => {
      const rowId = rowIdOf(endpoint);
      if (present.has(rowId)) return false;
      const leavesMs = this.#leaving.get(rowId) ?? nowMs + this.#hold.obsoleteMs;
      if (leavesMs <= nowMs) return false;
      leaving.set(rowId, leavesMs);
      return true;
    });
    this.#endpoints = [...endpoints, ...kept];
    this.#leaving = leaving;
    this.#lastGoodMs = nowMs;
    this.#failure = undefined;
  }

  /** The name could not be looked up, or has nothing. */
  refuse(kind: DnsFailureKind): void {
    this.#failure = kind;
  }

  /** Whether the present failure is old enough to be believed. */
  isExpired(nowMs: number): boolean {
    return this.#endpoints !== undefined && nowMs >= this.#expiresMs();
  }

  /**
   * The list in force, undefined before the first answer.
   *
   * @param reason said of every endpoint once the hold time is over.
   */
  current(reason: string, nowMs: number): readonly Endpoint[] | undefined {
    const listed = this.#endpoints?.filter((endpoint) => {
      const leavesMs = this.#leaving.get(rowIdOf(endpoint));
      return leavesMs === undefined || leavesMs > nowMs;
    });
    if (listed === undefined || !this.isExpired(nowMs)) return listed;
    return listed.map((endpoint) => ({ ...endpoint, admitted: false, reason }));
  }

  /** When `current` changes by itself; infinite when it does not. */
  nextChangeMs(nowMs: number): number {
    const times = [...this.#leaving.values(), this.#expiresMs()].filter((time) => time > nowMs);
    return Math.min(...times, Number.POSITIVE_INFINITY);
  }

  #expiresMs(): number {
    const holdMs = this.#failure === undefined ? undefined : this.#holdMs(this.#failure);
    return holdMs === undefined ? Number.POSITIVE_INFINITY : this.#lastGoodMs + holdMs;
  }

  #holdMs(kind: DnsFailureKind): number | undefined {
    switch (kind) {
      case "nx":
        return this.#hold.nxMs;
      case "timeout":
        return this.#hold.timeoutMs;
      case "refused":
        return this.#hold.refusedMs;
      case "other":
        return this.#hold.otherMs;
    }
  }
}
