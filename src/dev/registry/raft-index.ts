/** The one counter every write takes a number from; catalog and keys share it, as in Consul. */
export class RaftIndex {
  #last: number;

  /** @param first the index of the newest write already made. */
  constructor(first = 0) {
    this.#last = first;
  }

  /** Takes the number of a new write. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }
}
