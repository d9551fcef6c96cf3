/**
 * Route flap damping as in BGP (RFC 2439), in the names of Cisco's `bgp dampening`: each departure earns a fixed
 * penalty that halves again and again; above one limit an instance is suppressed, below a lower one it is not.
 */
export interface FlapRules {
  /** Time in which a penalty halves. */
  readonly halfLifeMs: number;
  /** An instance is suppressed from this penalty on; each departure adds 1000. */
  readonly suppress: number;
  /** It takes work again below this penalty. */
  readonly reuse: number;
  /** Longest suppression after the last departure, which caps the penalty. */
  readonly maxSuppressMs: number;
}

/** What is remembered of an instance that left. */
export interface FlapRecord {
  /** As it is now. */
  readonly penalty: number;
  /** Departures since the instance was last forgotten. */
  readonly departures: number;
  readonly isSuppressed: boolean;
  /** When its penalty falls below `reuse`. */
  readonly reuseMs: number;
}

/** What one departure earns, as at Cisco's. */
const DEPARTURE_PENALTY = 1_000;
/** Instances remembered; beyond it the one that left longest ago is forgotten. */
const RECORDS_MAX = 10_000;

interface Record {
  penalty: number;
  /** When `penalty` was true. */
  atMs: number;
  departures: number;
  isSuppressed: boolean;
}

/**
 * The penalties of the instances of one pool, by key. Forgotten below half of `reuse`. Where more than half of all
 * leave at once, nobody is charged: that says something of discovery, not of them. Pure.
 */
export class FlapBook {
  readonly #records = new Map<string, Record>();
  #working = new Set<string>();

  /**
   * Takes note of a list.
   *
   * @param working keys that take work by it.
   * @param excused keys that do not, through no fault of their own.
   */
  note(working: ReadonlySet<string>, excused: ReadonlySet<string>, rules: FlapRules, nowMs: number): void {
    const left = [...this.#working].filter((key) => !working.has(key) && !excused.has(key));
    if (left.length * 2 <= this.#working.size) for (const key of left) this.#charge(key, rules, nowMs);
    this.#working = new Set(working);
    this.#forget(rules, nowMs);
  }

  /** The next list is the first of another source: whom it leaves out did not leave. Penalties stay. */
  beginAnew(): void {
    this.#working = new Set();
  }

  /** What is remembered of a key; undefined when nothing is. */
  of(key: string, rules: FlapRules, nowMs: number): FlapRecord | undefined {
    const record = this.#records.get(key);
    if (record === undefined) return undefined;
    const penalty = decayed(record, rules, nowMs);
    if (record.isSuppressed && penalty < rules.reuse) record.isSuppressed = false;
    const reuseMs = nowMs + rules.halfLifeMs * Math.max(0, Math.log2(penalty / rules.reuse));
    return { penalty, departures: record.departures, isSuppressed: record.isSuppressed, reuseMs };
  }

  #charge(key: string, rules: FlapRules, nowMs: number): void {
    const before = this.#records.get(key);
    const ceiling = rules.reuse * 2 ** (rules.maxSuppressMs / rules.halfLifeMs);
    const sum = (before === undefined ? 0 : decayed(before, rules, nowMs)) + DEPARTURE_PENALTY;
    const penalty = Math.min(sum, ceiling);
    // The youngest stand last.
    this.#records.delete(key);
    this.#records.set(key, {
      penalty,
      atMs: nowMs,
      departures: (before?.departures ?? 0) + 1,
      isSuppressed: before?.isSuppressed === true || penalty >= rules.suppress,
    });
    const [oldest] = this.#records.keys();
    if (this.#records.size > RECORDS_MAX && oldest !== undefined) this.#records.delete(oldest);
  }

  #forget(rules: FlapRules, nowMs: number): void {
    for (const [key, record] of this.#records)
      if (decayed(record, rules, nowMs) < rules.reuse / 2) this.#records.delete(key);
  }
}

function decayed({ penalty, atMs }: Record, { halfLifeMs }: FlapRules, nowMs: number): number {
  return penalty * 2 ** (-(nowMs - atMs) / halfLifeMs);
}
