/**
 * Request path. A four-ary min-heap of row numbers, ordered by a key and, among equal keys, by an order number.
 * Any row can be re-filed in O(log n). Keys and orders lie by heap position, not by row, so that the four
 * children that a step compares share a cache line.
 */

const ARITY = 4;

function floatAt(array: Float64Array, index: number): number {
  return array[index] as number;
}

function intAt(array: Int32Array, index: number): number {
  return array[index] as number;
}

/** Which of some row numbers comes first, at any time. Row numbers are whole, from 0 up and dense. */
export class IndexedHeap {
  /** Row by heap position. */
  #rows = new Int32Array(64);
  /** Key and order by heap position, in turn. */
  #cells = new Float64Array(128);
  /** Heap position by row, -1 when absent. */
  #position = new Int32Array(64).fill(-1);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(row: number): boolean {
    return row < this.#position.length && intAt(this.#position, row) >= 0;
  }

  /** The key a filed row stands at. Throws a RangeError for a row that is absent. */
  keyOf(row: number): number {
    return floatAt(this.#cells, this.#cellOf(row));
  }

  /** The order number a filed row stands at. Throws a RangeError for a row that is absent. */
  orderOf(row: number): number {
    return floatAt(this.#cells, this.#cellOf(row) + 1);
  }

  /** Files a row, or files it anew. */
  set(row: number, key: number, order: number): void {
    if (row >= this.#position.length || this.#size === this.#rows.length) this.#grow(row);
    const at = intAt(this.#position, row);
    if (at < 0) {
      this.#siftUp(this.#size++, row, key, order);
      return;
    }
    const oldKey = floatAt(this.#cells, at * 2);
    if (key > oldKey || (key === oldKey && order > floatAt(this.#cells, at * 2 + 1))) {
      this.#siftDown(at, row, key, order);
    } else {
      this.#siftUp(at, row, key, order);
    }
  }

  remove(row: number): void {
    if (!this.has(row)) return;
    const at = intAt(this.#position, row);
    this.#position[row] = -1;
    const lastAt = --this.#size;
    if (lastAt === at) return;
    const last = intAt(this.#rows, lastAt);
    const key = floatAt(this.#cells, lastAt * 2);
    const order = floatAt(this.#cells, lastAt * 2 + 1);
    if (at > 0 && this.#isBefore(key, order, (at - 1) >> 2)) this.#siftUp(at, last, key, order);
    else this.#siftDown(at, last, key, order);
  }

  /** The first row, -1 when empty. */
  first(): number {
    return this.#size === 0 ? -1 : intAt(this.#rows, 0);
  }

  /** The first row that is not among `avoid`, -1 when there is none. Costs a few steps per avoided row. */
  firstExcept(avoid: readonly number[]): number {
    const at = this.#size === 0 ? -1 : this.#best(0, avoid);
    return at < 0 ? -1 : intAt(this.#rows, at);
  }

  /** The position of the first row at or below `at` that is not to be avoided. */
  #best(at: number, avoid: readonly number[]): number {
    if (!avoid.includes(intAt(this.#rows, at))) return at;
    let best = -1;
    const end = Math.min(at * ARITY + ARITY + 1, this.#size);
    for (let child = at * ARITY + 1; child < end; child++) {
      const candidate = this.#best(child, avoid);
      if (candidate < 0) continue;
      const key = floatAt(this.#cells, candidate * 2);
      if (best < 0 || this.#isBefore(key, floatAt(this.#cells, candidate * 2 + 1), best)) best = candidate;
    }
    return best;
  }

  /** Whether a key and order come before those at a position. */
  #isBefore(key: number, order: number, at: number): boolean {
    const otherKey = floatAt(this.#cells, at * 2);
    return key < otherKey || (key === otherKey && order < floatAt(this.#cells, at * 2 + 1));
  }

  #place(at: number, row: number, key: number, order: number): void {
    this.#rows[at] = row;
    this.#cells[at * 2] = key;
    this.#cells[at * 2 + 1] = order;
    this.#position[row] = at;
  }

  /** Moves what stands at one position to another. */
  #move(from: number, to: number): void {
    const row = intAt(this.#rows, from);
    this.#place(to, row, floatAt(this.#cells, from * 2), floatAt(this.#cells, from * 2 + 1));
  }

  #siftUp(start: number, row: number, key: number, order: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      if (!this.#isBefore(key, order, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#place(at, row, key, order);
  }

  #siftDown(start: number, row: number, key: number, order: number): void {
    const cells = this.#cells;
    const size = this.#size;
    let at = start;
    for (;;) {
      const firstChild = at * ARITY + 1;
      if (firstChild >= size) break;
      const end = Math.min(firstChild + ARITY, size);
      let least = firstChild;
      let leastKey = floatAt(cells, firstChild * 2);
      let leastOrder = floatAt(cells, firstChild * 2 + 1);
      for (let child = firstChild + 1; child < end; child++) {
        const childKey = floatAt(cells, child * 2);
        if (childKey > leastKey) continue;
        const childOrder = floatAt(cells, child * 2 + 1);
        if (childKey === leastKey && childOrder >= leastOrder) continue;
        least = child;
        leastKey = childKey;
        leastOrder = childOrder;
      }
      if (leastKey > key || (leastKey === key && leastOrder >= order)) break;
      this.#move(least, at);
      at = least;
    }
    this.#place(at, row, key, order);
  }

  #cellOf(row: number): number {
    if (!this.has(row)) throw new RangeError(`row ${row} is not filed`);
    return intAt(this.#position, row) * 2;
  }

  #grow(row: number): void {
    const size = 2 ** Math.ceil(Math.log2(Math.max(row, this.#size) + 1));
    const rows = new Int32Array(size);
    rows.set(this.#rows);
    const cells = new Float64Array(size * 2);
    cells.set(this.#cells);
    const position = new Int32Array(size).fill(-1);
    position.set(this.#position);
    this.#rows = rows;
    this.#cells = cells;
    this.#position = position;
  }
}
