/**
 * Request path. The live numbers of a pool's backends, one row each, in columns of typed arrays.
 *
 * The data plane counts here and reads states and weights; the control plane reads counts and writes states
 * and weights, so a change takes effect at the next pick without a message or a lock. In flight, weight, limit
 * and state are Int32 columns; all other counters are Float64 columns, one per writer, summed on read. Over an
 * ArrayBuffer a scoreboard serves one thread; over a SharedArrayBuffer the same code serves many.
 *
 * Only what several threads change by reading first, in flight, goes through `Atomics`, and only where there
 * are several: an atomic operation costs 30 to 70 ns in V8 and a plain one 5, which the `pick` benchmark shows
 * as half of a pick. Plain reads of Int32 cells never tear, and a maximum that misses a race by one is harmless.
 */

/** The thread that counts: one does today, and the columns are laid out for several. */
export const WRITER = 0;

/** Rows come in chunks of this size, so that no buffer ever has to grow. */
const CHUNK_ROWS = 256;

/** Whole numbers shared by all writers, one Int32 column each. */
const SHARED = { inFlight: 0, maxInFlight: 1, weight16: 2, limit: 3, state: 4, generation: 5 } as const;
/** Two spare, so that no row lies across two cache lines. */
const SHARED_COLUMNS = 8;

/**
 * What is counted per row, one Float64 column per writer each. Times are sums of milliseconds. `served` counts
 * leases taken; nobody adds to it, since every lease is either open or ended with one of the six outcomes.
 */
export const COUNTER_NAMES = [
  "served",
  "success",
  "serverError",
  "connectFailure",
  "timeout",
  "reset",
  "ignored",
  "status1xx",
  "status2xx",
  "status3xx",
  "status4xx",
  "status5xx",
  "bytesIn",
  "bytesOut",
  "retries",
  "redispatches",
  "retriesDenied",
  "hedges",
  "hedgesWon",
  "sessionsKept",
  "sessionsMoved",
  "sessionsNew",
  "connectionsOpened",
  "connectionsReused",
  "timed",
  "queueMs",
  "connectMs",
  "responseMs",
  "totalMs",
  "ejectionsDetected",
  "ejectionsEnforced",
  "ejectionsOverflowed",
  "checksPassed",
  "checksFailed",
  "timesDown",
  "queued",
  "queueTimeouts",
  "refusedNoBackend",
  "refusedQueueFull",
  "passedOver",
  "panicPicks",
  "ownZonePicks",
  "otherZonePicks",
] as const;

/** Name of one counter. */
export type CounterName = (typeof COUNTER_NAMES)[number];

/** Column number of each counter, for the request path. */
export const COUNTER = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>;

const COUNTER_COLUMNS = COUNTER_NAMES.length;
const SERVED = COUNTER_NAMES.indexOf("served");
const FIRST_OUTCOME = COUNTER_NAMES.indexOf("success");
const LAST_OUTCOME = COUNTER_NAMES.indexOf("ignored");

/** A float cell that is known to exist. */
function cell(column: Float64Array, index: number): number {
  return column[index] as number;
}

/** A whole-number cell that is known to exist. */
function whole(column: Int32Array, index: number): number {
  return column[index] as number;
}

/** The columns of some rows, one row after the other. */
class Chunk {
  readonly shared: Int32Array;
  /** In flight per writer, so that the share of a writer that died can be taken back. */
  readonly inFlightByWriter: Int32Array;
  readonly counters: Float64Array;
  /** Whether other threads count here too. */
  readonly hasPeers: boolean;

  constructor(rows: number, writers: number, buffer: (bytes: number) => ArrayBufferLike) {
    this.shared = new Int32Array(buffer(rows * SHARED_COLUMNS * 4));
    this.hasPeers = this.shared.buffer instanceof SharedArrayBuffer;
    this.inFlightByWriter = new Int32Array(buffer(rows * writers * 4));
    this.counters = new Float64Array(buffer(rows * writers * COUNTER_COLUMNS * 8));
  }
}

/**
 * One row: the numbers of one backend. Once given back to its scoreboard it stands apart: it keeps its last
 * numbers for whoever still reads it, and what is written late reaches no successor.
 */
export class Row {
  // What every pick reads comes first, so that it shares a cache line.
  #chunk: Chunk;
  /** First cell of the row in each kind of column. */
  #shared: number;
  /** Position in the scoreboard, reused after the row was given back. */
  readonly index: number;
  #counters: number;
  #byWriter: number;
  readonly #writers: number;
  /** Tells apart the successive owners of one position. */
  readonly generation: number;
  #isFreed = false;

  constructor(chunk: Chunk, index: number, writers: number) {
    const offset = index % CHUNK_ROWS;
    this.index = index;
    this.#chunk = chunk;
    this.#writers = writers;
    this.#shared = offset * SHARED_COLUMNS;
    this.#counters = offset * writers * COUNTER_COLUMNS;
    this.#byWriter = offset * writers;
    this.generation = Atomics.add(chunk.shared, this.#shared + SHARED.generation, 1) + 1;
  }

  /** Whether it was given back to its scoreboard. */
  get isFreed(): boolean {
    return this.#isFreed;
  }

  /** Leases open at this moment, over all writers. */
  get inFlight(): number {
    return whole(this.#chunk.shared, this.#shared + SHARED.inFlight);
  }

  /** Most leases open at once since the maxima were last cleared. */
  get maxInFlight(): number {
    return whole(this.#chunk.shared, this.#shared + SHARED.maxInFlight);
  }

  /** Weight in force in sixteenths, 0 to 4096. */
  get weight16(): number {
    return whole(this.#chunk.shared, this.#shared + SHARED.weight16);
  }

  set weight16(value: number) {
    Atomics.store(this.#chunk.shared, this.#shared + SHARED.weight16, value);
  }

  /** Most leases allowed at once; 0 for no limit. */
  get limit(): number {
    return whole(this.#chunk.shared, this.#shared + SHARED.limit);
  }

  set limit(value: number) {
    Atomics.store(this.#chunk.shared, this.#shared + SHARED.limit, value);
  }

  /** The four eligibility facts as bits; see `backend.ts`. */
  get state(): number {
    return whole(this.#chunk.shared, this.#shared + SHARED.state);
  }

  set state(value: number) {
    Atomics.store(this.#chunk.shared, this.#shared + SHARED.state, value);
  }

  /** Whether the limit is reached. */
  get isFull(): boolean {
    const limit = this.limit;
    return limit > 0 && this.inFlight >= limit;
  }

  /** Counts one lease as open. */
  take(writer: number): void {
    const { shared, inFlightByWriter, hasPeers } = this.#chunk;
    const at = this.#shared + SHARED.inFlight;
    let now: number;
    if (hasPeers) {
      now = Atomics.add(shared, at, 1) + 1;
      const own = this.#byWriter + writer;
      inFlightByWriter[own] = whole(inFlightByWriter, own) + 1;
    } else {
      now = whole(shared, at) + 1;
      shared[at] = now;
    }
    const maximum = this.#shared + SHARED.maxInFlight;
    if (now > whole(shared, maximum)) shared[maximum] = now;
  }

  /** Counts one lease as closed. */
  giveBack(writer: number): void {
    const { shared, inFlightByWriter, hasPeers } = this.#chunk;
    const at = this.#shared + SHARED.inFlight;
    if (hasPeers) {
      Atomics.sub(shared, at, 1);
      const own = this.#byWriter + writer;
      inFlightByWriter[own] = whole(inFlightByWriter, own) - 1;
    } else {
      shared[at] = whole(shared, at) - 1;
    }
  }

  /** Takes back what another, dead writer held, as ignored leases; answers how many there were. */
  reclaim(writer: number): number {
    const held = Atomics.exchange(this.#chunk.inFlightByWriter, this.#byWriter + writer, 0);
    Atomics.sub(this.#chunk.shared, this.#shared + SHARED.inFlight, held);
    this.add(LAST_OUTCOME, writer, held);
    return held;
  }

  /** Adds to one counter (a number of `COUNTER`). */
  add(counter: number, writer: number, amount: number): void {
    const at = this.#counters + writer * COUNTER_COLUMNS + counter;
    this.#chunk.counters[at] = cell(this.#chunk.counters, at) + amount;
  }

  /** Sum of one counter over all writers. */
  read(counter: number): number {
    if (counter === SERVED) return this.#servedCount();
    let sum = 0;
    for (let writer = 0; writer < this.#writers; writer++) {
      sum += cell(this.#chunk.counters, this.#counters + writer * COUNTER_COLUMNS + counter);
    }
    return sum;
  }

  #servedCount(): number {
    let sum = this.inFlight;
    for (let outcome = FIRST_OUTCOME; outcome <= LAST_OUTCOME; outcome++) sum += this.read(outcome);
    return sum;
  }

  /** Starts the maximum anew, from what is open now. */
  clearMaxima(): void {
    Atomics.store(this.#chunk.shared, this.#shared + SHARED.maxInFlight, this.inFlight);
  }

  /** For the scoreboard: moves the numbers into cells of their own and leaves zeroes to the next owner. */
  detach(): void {
    const apart = new Chunk(1, this.#writers, (bytes) => new ArrayBuffer(bytes));
    const { shared, counters, inFlightByWriter } = this.#chunk;
    for (let column = 0; column < SHARED.generation; column++) {
      apart.shared[column] = Atomics.exchange(shared, this.#shared + column, 0);
    }
    moveOut(counters, this.#counters, apart.counters);
    moveOut(inFlightByWriter, this.#byWriter, apart.inFlightByWriter);
    this.#chunk = apart;
    this.#shared = 0;
    this.#counters = 0;
    this.#byWriter = 0;
    this.#isFreed = true;
  }
}

/** Copies as many cells as `to` has and zeroes them at their old place. */
function moveOut<Column extends Int32Array | Float64Array>(from: Column, start: number, to: Column): void {
  to.set(from.subarray(start, start + to.length));
  from.fill(0, start, start + to.length);
}

/** How many threads share a scoreboard. */
export interface ScoreboardOptions {
  /** Threads that will count; each writes columns of its own. Default 1. */
  readonly writers?: number;
  /** Over a SharedArrayBuffer, for several threads. Default false. */
  readonly shared?: boolean;
}

/** The rows of one pool. */
export class Scoreboard {
  readonly writers: number;
  readonly #chunks: Chunk[] = [];
  readonly #free: number[] = [];
  readonly #buffer: (bytes: number) => ArrayBufferLike;
  #size = 0;

  constructor(options: ScoreboardOptions = {}) {
    this.writers = options.writers ?? 1;
    this.#buffer = options.shared
      ? (bytes) => new SharedArrayBuffer(bytes)
      : (bytes) => new ArrayBuffer(bytes);
  }

  /** Rows ever in use at once; row numbers are below it. */
  get size(): number {
    return this.#size;
  }

  /** A zeroed row. */
  allocate(): Row {
    const index = this.#free.pop() ?? this.#size++;
    const chunkIndex = Math.floor(index / CHUNK_ROWS);
    let chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) {
      chunk = new Chunk(CHUNK_ROWS, this.writers, this.#buffer);
      this.#chunks[chunkIndex] = chunk;
    }
    return new Row(chunk, index, this.writers);
  }

  /** Gives a row back, once. Throws a RangeError while anything is in flight on it. */
  free(row: Row): void {
    if (row.isFreed || row.inFlight !== 0) {
      throw new RangeError(
        `row ${row.index} cannot be freed: ${row.inFlight} in flight, freed ${row.isFreed}`,
      );
    }
    row.detach();
    this.#free.push(row.index);
  }
}
