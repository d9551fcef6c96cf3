import { hashText, mix } from "./hash.js";

/** A point is `hash * ROWS + row`: 32 and 20 bits, which a double holds exactly and the runtime sorts natively. */
const ROWS = 2 ** 20;

/** Odd, so that the multiples of a key's points never meet. */
const STEP = 0x9e3779b1;

/**
 * Request path. A ring of hashes with points of many rows. The points of a row depend on its name alone, and more points
 * include the fewer, so that a change of one row moves only keys to or from it. Changes are gathered and put in force
 * by one merge at the next look: O(points), nothing is hashed anew but what changed.
 */
export class HashRing {
  #points = new Float64Array(0);
  /** Rows whose points are to be replaced, with their new ones. */
  readonly #pending = new Map<number, { readonly name: string; readonly points: number }>();

  /** Gives a row this many points; 0 takes it out. */
  set(row: number, name: string, points: number): void {
    this.#pending.set(row, { name, points });
  }

  /** How many points there are. */
  get length(): number {
    if (this.#pending.size > 0) this.#merge();
    return this.#points.length;
  }

  /** Where the walk for a hash begins: its first point at or behind it, the first of all behind the last. */
  begin(hash: number): number {
    const length = this.length;
    const wanted = hash * ROWS;
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low === length ? 0 : low;
  }

  /** The row of a point. */
  rowAt(point: number): number {
    return (this.#points[point] as number) % ROWS;
  }

  #merge(): void {
    const added = this.#newPoints();
    const kept = this.#points.filter((point) => !this.#pending.has(point % ROWS));
    this.#pending.clear();
    const merged = new Float64Array(kept.length + added.length);
    for (let at = 0, fromKept = 0, fromAdded = 0; at < merged.length; at++) {
      const one = fromKept < kept.length ? (kept[fromKept] as number) : Number.POSITIVE_INFINITY;
      const other = fromAdded < added.length ? (added[fromAdded] as number) : Number.POSITIVE_INFINITY;
      merged[at] = Math.min(one, other);
      if (one < other) fromKept++;
      else fromAdded++;
    }
    this.#points = merged;
  }

  #newPoints(): Float64Array {
    let count = 0;
    for (const { points } of this.#pending.values()) count += points;
    const added = new Float64Array(count);
    let at = 0;
    for (const [row, { name, points }] of this.#pending) {
      const start = hashText(name);
      for (let point = 0; point < points; point++) {
        added[at++] = mix(start + Math.imul(point, STEP)) * ROWS + row;
      }
    }
    return added.sort();
  }
}
