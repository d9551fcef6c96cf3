import type { Backend } from "./backend.js";
import type { Lease } from "./lease.js";

/** Someone who waits for a slot. */
export interface Waiter {
  /** Backends it would rather not get. */
  readonly avoid: readonly Backend[];
  /** Called once, with the slot, unless the wait was cancelled before. */
  granted(lease: Lease): void;
}

/** A place in the queue. */
export interface Ticket {
  /** Leaves the queue; harmless after the grant. */
  cancel(): void;
}

class Place implements Ticket {
  readonly waiter: Waiter;
  readonly #queue: WaitQueue;

  constructor(queue: WaitQueue, waiter: Waiter) {
    this.#queue = queue;
    this.waiter = waiter;
  }

  cancel(): void {
    this.#queue.leave(this);
  }
}

/** Request path. First come, first served, and never longer than its limit. */
export class WaitQueue {
  readonly #limit: number;
  /** A Set keeps the order of arrival and lets anyone leave in O(1). */
  readonly #places = new Set<Place>();
  #longest = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#places.size;
  }

  /** The longest it has been since the maxima were last cleared. */
  get longest(): number {
    return this.#longest;
  }

  get isFull(): boolean {
    return this.#places.size >= this.#limit;
  }

  clearMaxima(): void {
    this.#longest = this.#places.size;
  }

  /** Undefined when it is full. */
  join(waiter: Waiter): Ticket | undefined {
    if (this.isFull) return undefined;
    const place = new Place(this, waiter);
    this.#places.add(place);
    this.#longest = Math.max(this.#longest, this.#places.size);
    return place;
  }

  leave(ticket: Ticket): void {
    this.#places.delete(ticket as Place);
  }

  /** Who has waited longest. */
  head(): Waiter | undefined {
    return this.#places.values().next().value?.waiter;
  }

  /** Takes out who has waited longest. */
  shift(): Waiter | undefined {
    const place = this.#places.values().next().value;
    if (place === undefined) return undefined;
    this.#places.delete(place);
    return place.waiter;
  }
}
