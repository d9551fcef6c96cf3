import type { Outcome } from "./outcome.js";

/** What of the traffic is watched: connections alone, or answers too. */
export type ObservedLayer = "layer4" | "layer7";

/** What an attempt says of a backend's health. */
export type TrafficSign = "good" | "bad" | "nothing";

/**
 * Request path. What HAProxy's `observe` makes of an attempt. Layer 4: a connection is good, none is bad. Layer 7:
 * an answer of 100 to 499, 501 or 505 is good; any other, none, a broken or a late one is bad, as is no connection.
 *
 * @param status the HTTP status, 0 where there was none
 */
export function trafficSign(layer: ObservedLayer, outcome: Outcome, status: number): TrafficSign {
  if (outcome === "ignored") return "nothing";
  if (layer === "layer4") return outcome === "connect-failure" ? "bad" : "good";
  if (outcome === "success") return "good";
  if (outcome !== "server-error") return "bad";
  return status === 501 || status === 505 ? "good" : "bad";
}

/** Bad signs in a row. */
export class ErrorStreak {
  readonly #limit: number;
  #count = 0;

  /** @param limit so many in a row are enough; at least 1 */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /** Request path. Whether the limit is reached now; the streak then begins anew. */
  add(sign: TrafficSign): boolean {
    if (sign === "nothing") return false;
    if (sign === "good") {
      this.#count = 0;
      return false;
    }
    if (++this.#count < this.#limit) return false;
    this.#count = 0;
    return true;
  }

  clear(): void {
    this.#count = 0;
  }
}
