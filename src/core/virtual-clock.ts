/**
 * Request path. Weighted turns: each row's next turn lies `4096 / weight in sixteenths` after its last one on a
 * clock that only serving moves, so that over any stretch each row is served in proportion to its weight,
 * evenly spread (start-time fair queueing; the smoothness of smooth weighted round robin at O(1)).
 */
export class VirtualClock {
  #turn = new Float64Array(64);
  #stride = new Float64Array(64);
  #now = 0;

  /** A row begins: half a stride from now, so that light rows do not all come last. */
  join(row: number, weight16: number): void {
    this.#reserve(row);
    const stride = strideOf(weight16);
    this.#stride[row] = stride;
    this.#turn[row] = this.#now + stride / 2;
  }

  /** A new weight scales what is left until the row's turn. */
  reweigh(row: number, weight16: number): void {
    const stride = strideOf(weight16);
    const left = Math.max((this.#turn[row] as number) - this.#now, 0);
    this.#turn[row] = this.#now + (left * stride) / (this.#stride[row] as number);
    this.#stride[row] = stride;
  }

  /** When the row is due. One that could not be served for a while is due now, without credit for the past. */
  turnOf(row: number): number {
    const turn = Math.max(this.#turn[row] as number, this.#now);
    this.#turn[row] = turn;
    return turn;
  }

  /** The row was served: time moves to its turn, and its next one is a stride away. */
  serve(row: number): void {
    const turn = this.turnOf(row);
    this.#now = turn;
    this.#turn[row] = turn + (this.#stride[row] as number);
  }

  #reserve(row: number): void {
    if (row < this.#turn.length) return;
    const size = 2 ** Math.ceil(Math.log2(row + 1));
    const turn = new Float64Array(size);
    turn.set(this.#turn);
    const stride = new Float64Array(size);
    stride.set(this.#stride);
    this.#turn = turn;
    this.#stride = stride;
  }
}

function strideOf(weight16: number): number {
  return 4096 / Math.max(weight16, 1);
}
