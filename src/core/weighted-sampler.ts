/**
 * Request path. Draws a slot with a probability in proportion to its weight, in O(log n), over a binary
 * indexed tree of whole-number weights.
 */
export class WeightedSampler {
  #tree = new Float64Array(64);
  #weight = new Float64Array(64);
  #total = 0;

  /** Sum of all weights. */
  get total(): number {
    return this.#total;
  }

  weightOf(slot: number): number {
    return this.#weight[slot] ?? 0;
  }

  /** Sets the weight of a slot, 0 to take it out. */
  set(slot: number, weight: number): void {
    this.#reserve(slot);
    const difference = weight - (this.#weight[slot] as number);
    if (difference === 0) return;
    this.#weight[slot] = weight;
    this.#total += difference;
    for (let at = slot + 1; at < this.#tree.length; at += at & -at) {
      this.#tree[at] = (this.#tree[at] as number) + difference;
    }
  }

  /** The slot that `point`, from 0 up to but without `total`, falls on. */
  slotAt(point: number): number {
    let at = 0;
    let left = point;
    for (let step = this.#tree.length >> 1; step > 0; step >>= 1) {
      const next = at + step;
      const weight = next < this.#tree.length ? (this.#tree[next] as number) : Number.POSITIVE_INFINITY;
      if (weight <= left) {
        at = next;
        left -= weight;
      }
    }
    return at;
  }

  #reserve(slot: number): void {
    if (slot + 1 < this.#tree.length) return;
    const size = 2 ** Math.ceil(Math.log2(slot + 2));
    const weights = this.#weight;
    this.#tree = new Float64Array(size);
    this.#weight = new Float64Array(size);
    this.#total = 0;
    weights.forEach((weight, index) => {
      if (weight !== 0) this.set(index, weight);
    });
  }
}
