import type { Backend } from "./backend.js";
import { Line, Place, type Waiter } from "./line.js";

/** What whoever waits holds. */
export interface Ticket {
  /** The backend it waits for; undefined where any will do. */
  readonly backend: Backend | undefined;
  /** How many waited for the same when it came. */
  readonly ahead: number;
  /** Leaves the queue; harmless after the grant. */
  cancel(): void;
}

/**
 * Request path. All who wait in a pool, as in HAProxy: one line of those whom any backend may serve, and one at each
 * backend that somebody is bound to. All lines together are never longer than the limit.
 */
export class WaitQueue {
  /** Those whom any backend may serve. */
  readonly common = new Line();
  #limit: number;
  #length = 0;
  #longest = 0;
  #arrivals = 0;
  readonly #lines = new WeakMap<Backend, Line>();
  /** The lines of backends in which somebody stands. */
  readonly #busy = new Set<Line>();

  /** `limit` is the most that may wait at once. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** For who comes from now on; whoever waits stays. */
  limitTo(limit: number): void {
    this.#limit = limit;
  }

  /** All who wait. */
  get length(): number {
    return this.#length;
  }

  /** The most that have waited at once since the maxima were last cleared. */
  get longest(): number {
    return this.#longest;
  }

  get isFull(): boolean {
    return this.#length >= this.#limit;
  }

  /** The lines of backends in which somebody stands. */
  get busy(): ReadonlySet<Line> {
    return this.#busy;
  }

  /** The line at a backend; undefined where nobody has stood yet. */
  at(backend: Backend): Line | undefined {
    return this.#lines.get(backend);
  }

  /** But for the lines at backends. */
  clearMaxima(): void {
    this.#longest = this.#length;
    this.common.clearMaxima();
  }

  /** Joins the line at a backend, or the common one. Undefined when it is full. */
  join(waiter: Waiter, backend: Backend | undefined, nowMs: number): Ticket | undefined {
    if (this.isFull) return undefined;
    const line = this.#lineFor(backend);
    const ahead = line.length;
    const place = new Place(waiter, this.#arrivals++, nowMs);
    this.#enter(line, place);
    this.#length++;
    if (this.#length > this.#longest) this.#longest = this.#length;
    return { backend, ahead, cancel: () => this.leave(place) };
  }

  /** Takes it out, wherever it stands. Harmless when it is out already. */
  leave(place: Place): void {
    if (place.line === undefined) return;
    this.#exit(place.line, place);
    this.#length--;
  }

  /** To another line, where it stands as if it had come there first. */
  move(place: Place, backend: Backend | undefined): void {
    if (place.line === undefined) return;
    this.#exit(place.line, place);
    this.#enter(this.#lineFor(backend), place);
  }

  #lineFor(backend: Backend | undefined): Line {
    if (backend === undefined) return this.common;
    const known = this.#lines.get(backend);
    if (known !== undefined) return known;
    const line = new Line(backend);
    this.#lines.set(backend, line);
    return line;
  }

  #enter(line: Line, place: Place): void {
    line.join(place);
    if (line !== this.common) this.#busy.add(line);
  }

  #exit(line: Line, place: Place): void {
    line.leave(place);
    if (line.length === 0) this.#busy.delete(line);
  }
}
