/** Its multiples, whole parts left out, fill the span from 0 to 1 most evenly. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/**
 * Request path. Weighted turns: each row's next turn lies `4096 / weight in sixteenths` (its stride) after its
 * last one, so that rows served in the order of their turns are served in proportion to their weights, evenly
 * spread (weighted fair queueing; the smoothness of smooth weighted round robin at O(1)).
 *
 * Time stands where the row served last began its stride, and never goes back. So a row that is served before
 * its turn, because those before it were busy or to be avoided, pays with its own next turn and takes none of
 * the others'; and whoever could not be served for a while comes back with at most as much credit as passes in
 * one stride of the others.
 */
export class VirtualClock {
  /** Rows that ever began; gives each its phase. */
  #joins = 0;
  #turn = new Float64Array(64);
  #stride = new Float64Array(64);
  #now = 0;

  /**
   * A row begins somewhere in its first stride. Multiples of the golden ratio put those that begin after one
   * another far apart, so that rows of equal weight do not take their turns in a bunch.
   */
  join(row: number, weight16: number): void {
    this.#reserve(row);
    const stride = strideOf(weight16);
    this.#stride[row] = stride;
    this.#turn[row] = this.#now + stride * ((++this.#joins * GOLDEN_RATIO) % 1);
  }

  /** A new weight scales what is left until the row's turn. */
  reweigh(row: number, weight16: number): void {
    const stride = strideOf(weight16);
    const left = Math.max((this.#turn[row] as number) - this.#now, 0);
    this.#turn[row] = this.#now + (left * stride) / (this.#stride[row] as number);
    this.#stride[row] = stride;
  }

  /** When the row is due: never before now, whatever it missed. */
  turnOf(row: number): number {
    const turn = Math.max(this.#turn[row] as number, this.#now);
    this.#turn[row] = turn;
    return turn;
  }

  /** The row was served: its next turn is a stride away. */
  serve(row: number): void {
    const turn = this.turnOf(row);
    const stride = this.#stride[row] as number;
    this.#now = Math.max(this.#now, turn - stride);
    this.#turn[row] = turn + stride;
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
