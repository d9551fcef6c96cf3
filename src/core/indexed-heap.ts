/**
 * Request path. A four-ary min-heap of row numbers, ordered by a key and, among equal keys, by an order number.
 * Any row can be re-filed in O(log n), which is what keeps leastconn exact at 10,000 backends: the `pick`
 * benchmark measures it against a scan.
 */

const ARITY = 4;

function floatAt(array: Float64Array, index: number): number {
  return array[index] as number;
}

function intAt(array: Int32Array, index: number): number {
  return array[index] as number;
}

export class IndexedHeap {
  #heap = new Int32Array(64);
  /** Heap position by row, -1 when absent. */
  #position = new Int32Array(64).fill(-1);
  #key = new Float64Array(64);
  #order = new Float64Array(64);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(row: number): boolean {
    return row < this.#position.length && intAt(this.#position, row) >= 0;
  }

  keyOf(row: number): number {
    return floatAt(this.#key, row);
  }

  orderOf(row: number): number {
    return floatAt(this.#order, row);
  }

  /** Files a row, or files it anew. */
  set(row: number, key: number, order: number): void {
    this.#reserve(row);
    const at = intAt(this.#position, row);
    if (at < 0) {
      this.#key[row] = key;
      this.#order[row] = order;
      this.#place(this.#size, row);
      this.#siftUp(this.#size++);
      return;
    }
    const sinks =
      key > floatAt(this.#key, row) || (key === floatAt(this.#key, row) && order > floatAt(this.#order, row));
    this.#key[row] = key;
    this.#order[row] = order;
    if (sinks) this.#siftDown(at);
    else this.#siftUp(at);
  }

  remove(row: number): void {
    if (!this.has(row)) return;
    const at = intAt(this.#position, row);
    this.#position[row] = -1;
    const last = intAt(this.#heap, --this.#size);
    if (last === row) return;
    this.#place(at, last);
    this.#siftDown(at);
    this.#siftUp(intAt(this.#position, last));
  }

  /** The first row, -1 when empty. */
  first(): number {
    return this.#size === 0 ? -1 : intAt(this.#heap, 0);
  }

  /** The first row that is not among `avoid`, -1 when there is none. Costs a few steps per avoided row. */
  firstExcept(avoid: readonly number[]): number {
    return this.#size === 0 ? -1 : this.#best(0, avoid);
  }

  #best(at: number, avoid: readonly number[]): number {
    const row = intAt(this.#heap, at);
    if (!avoid.includes(row)) return row;
    let best = -1;
    const end = Math.min(at * ARITY + ARITY + 1, this.#size);
    for (let child = at * ARITY + 1; child < end; child++) {
      const candidate = this.#best(child, avoid);
      if (candidate >= 0 && (best < 0 || this.#before(candidate, best))) best = candidate;
    }
    return best;
  }

  #before(a: number, b: number): boolean {
    const keyA = floatAt(this.#key, a);
    const keyB = floatAt(this.#key, b);
    return keyA < keyB || (keyA === keyB && floatAt(this.#order, a) < floatAt(this.#order, b));
  }

  #place(at: number, row: number): void {
    this.#heap[at] = row;
    this.#position[row] = at;
  }

  #siftUp(start: number): void {
    const row = intAt(this.#heap, start);
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentRow = intAt(this.#heap, parent);
      if (!this.#before(row, parentRow)) break;
      this.#place(at, parentRow);
      at = parent;
    }
    this.#place(at, row);
  }

  #siftDown(start: number): void {
    const row = intAt(this.#heap, start);
    let at = start;
    for (;;) {
      const firstChild = at * ARITY + 1;
      if (firstChild >= this.#size) break;
      const end = Math.min(firstChild + ARITY, this.#size);
      let smallest = intAt(this.#heap, firstChild);
      let smallestAt = firstChild;
      for (let child = firstChild + 1; child < end; child++) {
        const childRow = intAt(this.#heap, child);
        if (this.#before(childRow, smallest)) {
          smallest = childRow;
          smallestAt = child;
        }
      }
      if (!this.#before(smallest, row)) break;
      this.#place(at, smallest);
      at = smallestAt;
    }
    this.#place(at, row);
  }

  #reserve(row: number): void {
    const needed = Math.max(row + 1, this.#size + 1);
    if (needed <= this.#position.length) return;
    const size = 2 ** Math.ceil(Math.log2(needed));
    const heap = new Int32Array(size);
    heap.set(this.#heap);
    const position = new Int32Array(size).fill(-1);
    position.set(this.#position);
    const key = new Float64Array(size);
    key.set(this.#key);
    const order = new Float64Array(size);
    order.set(this.#order);
    this.#heap = heap;
    this.#position = position;
    this.#key = key;
    this.#order = order;
  }
}
