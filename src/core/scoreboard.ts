/**
 * Request path. The live numbers of a pool's backends, one row each, in columns of typed arrays.
 *
 * The data plane counts here and reads states and weights; the control plane reads counts and writes states
 * and weights, so a change takes effect at the next pick without a message or a lock. In flight, weight, limit
 * and state are Int32 columns touched through `Atomics`; all other counters are Float64 columns, one per
 * writer, summed on read. Over an ArrayBuffer a scoreboard serves one thread; over a SharedArrayBuffer the
 * same code serves many.
 */

/** Rows come in chunks of this size, so that no buffer ever has to grow. */
const CHUNK_ROWS = 256;

/** Whole numbers shared by all writers, one Int32 column each. */
const SHARED = { inFlight: 0, maxInFlight: 1, weight16: 2, limit: 3, state: 4, generation: 5 } as const;
const SHARED_COLUMNS = 6;

/** What is counted per row, one Float64 column per writer each. Times are sums of milliseconds. */
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
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

/** Column number of each counter, for the request path. */
export const COUNTER = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>;

const COUNTER_COLUMNS = COUNTER_NAMES.length;

/** A float cell that is known to exist. */
function cell(column: Float64Array, index: number): number {
  return column[index] as number;
}

class Chunk {
  readonly shared: Int32Array;
  /** In flight per writer, so that the share of a writer that died can be taken back. */
  readonly inFlightByWriter: Int32Array;
  readonly counters: Float64Array;

  constructor(writers: number, buffer: (bytes: number) => ArrayBufferLike) {
    this.shared = new Int32Array(buffer(CHUNK_ROWS * SHARED_COLUMNS * 4));
    this.inFlightByWriter = new Int32Array(buffer(CHUNK_ROWS * writers * 4));
    this.counters = new Float64Array(buffer(CHUNK_ROWS * writers * COUNTER_COLUMNS * 8));
  }
}

/** One row: the numbers of one backend. Valid until given back to its scoreboard. */
export class Row {
  /** Position in the scoreboard, reused after the row was given back. */
  readonly index: number;
  /** Tells apart the successive owners of one position. */
  readonly generation: number;
  readonly #chunk: Chunk;
  readonly #writers: number;
  readonly #inFlight: number;
  readonly #maxInFlight: number;
  readonly #weight16: number;
  readonly #limit: number;
  readonly #state: number;
  readonly #counters: number;
  readonly #byWriter: number;

  constructor(chunk: Chunk, index: number, writers: number) {
    const offset = index % CHUNK_ROWS;
    const shared = offset * SHARED_COLUMNS;
    this.index = index;
    this.#chunk = chunk;
    this.#writers = writers;
    this.#inFlight = shared + SHARED.inFlight;
    this.#maxInFlight = shared + SHARED.maxInFlight;
    this.#weight16 = shared + SHARED.weight16;
    this.#limit = shared + SHARED.limit;
    this.#state = shared + SHARED.state;
    this.#counters = offset * writers * COUNTER_COLUMNS;
    this.#byWriter = offset * writers;
    this.generation = Atomics.add(chunk.shared, shared + SHARED.generation, 1) + 1;
  }

  /** Leases open at this moment, over all writers. */
  get inFlight(): number {
    return Atomics.load(this.#chunk.shared, this.#inFlight);
  }

  /** Most leases open at once since the maxima were last cleared. */
  get maxInFlight(): number {
    return Atomics.load(this.#chunk.shared, this.#maxInFlight);
  }

  /** Weight in force in sixteenths, 0 to 4096. */
  get weight16(): number {
    return Atomics.load(this.#chunk.shared, this.#weight16);
  }

  set weight16(value: number) {
    Atomics.store(this.#chunk.shared, this.#weight16, value);
  }

  /** Most leases allowed at once; 0 for no limit. */
  get limit(): number {
    return Atomics.load(this.#chunk.shared, this.#limit);
  }

  set limit(value: number) {
    Atomics.store(this.#chunk.shared, this.#limit, value);
  }

  /** The four eligibility facts as bits; see `backend.ts`. */
  get state(): number {
    return Atomics.load(this.#chunk.shared, this.#state);
  }

  set state(value: number) {
    Atomics.store(this.#chunk.shared, this.#state, value);
  }

  /** Whether the limit is reached. */
  get isFull(): boolean {
    const limit = this.limit;
    return limit > 0 && this.inFlight >= limit;
  }

  /** Counts one lease as open. */
  take(writer: number): void {
    const shared = this.#chunk.shared;
    const now = Atomics.add(shared, this.#inFlight, 1) + 1;
    Atomics.add(this.#chunk.inFlightByWriter, this.#byWriter + writer, 1);
    if (now > Atomics.load(shared, this.#maxInFlight)) Atomics.store(shared, this.#maxInFlight, now);
    this.add(COUNTER.served, writer, 1);
  }

  /** Counts one lease as closed. */
  giveBack(writer: number): void {
    Atomics.sub(this.#chunk.shared, this.#inFlight, 1);
    Atomics.sub(this.#chunk.inFlightByWriter, this.#byWriter + writer, 1);
  }

  /** Takes back everything a dead writer held; answers how many leases that were. */
  reclaim(writer: number): number {
    const held = Atomics.exchange(this.#chunk.inFlightByWriter, this.#byWriter + writer, 0);
    Atomics.sub(this.#chunk.shared, this.#inFlight, held);
    return held;
  }

  add(counter: number, writer: number, amount: number): void {
    const at = this.#counters + writer * COUNTER_COLUMNS + counter;
    this.#chunk.counters[at] = cell(this.#chunk.counters, at) + amount;
  }

  /** Sum of one counter over all writers. */
  read(counter: number): number {
    let sum = 0;
    for (let writer = 0; writer < this.#writers; writer++) {
      sum += cell(this.#chunk.counters, this.#counters + writer * COUNTER_COLUMNS + counter);
    }
    return sum;
  }

  clearMaxima(): void {
    Atomics.store(this.#chunk.shared, this.#maxInFlight, this.inFlight);
  }

  /** Zeroes everything but the generation. */
  clear(): void {
    for (const at of [this.#inFlight, this.#maxInFlight, this.#weight16, this.#limit, this.#state]) {
      Atomics.store(this.#chunk.shared, at, 0);
    }
    this.#chunk.counters.fill(0, this.#counters, this.#counters + this.#writers * COUNTER_COLUMNS);
    this.#chunk.inFlightByWriter.fill(0, this.#byWriter, this.#byWriter + this.#writers);
  }
}

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
      chunk = new Chunk(this.writers, this.#buffer);
      this.#chunks[chunkIndex] = chunk;
    }
    return new Row(chunk, index, this.writers);
  }

  /** Gives a row back. Only allowed when nothing is in flight on it. */
  free(row: Row): void {
    row.clear();
    this.#free.push(row.index);
  }
}
