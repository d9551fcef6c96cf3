/** How many failures in a row take a backend down, how many passes bring it back. */
export interface HealthThresholds {
  readonly fall: number;
  readonly rise: number;
}

/**
 * What counts before the first check (HAProxy's `init-state`). `up`: up, and the first failure takes it down;
 * `down`: down, and the first pass brings it up; `fully-up` and `fully-down` need `fall` and `rise` checks.
 */
export type InitialState = "up" | "down" | "fully-up" | "fully-down";

/**
 * HAProxy's health credit: one whole number from 0 to rise + fall - 1; up from `rise` on. A failure takes one
 * off, and falling below `rise` drops it to 0; a pass adds one, and reaching `rise` lifts it to full credit.
 * So one pass in the up range restores everything.
 */
export class HealthCredit {
  readonly #thresholds: HealthThresholds;
  #credit: number;

  constructor(thresholds: HealthThresholds, initial: InitialState = "up") {
    this.#thresholds = thresholds;
    this.#credit = creditOf(thresholds, initial);
  }

  get isUp(): boolean {
    return this.#credit >= this.#thresholds.rise;
  }

  /** Full credit: nothing is in doubt. */
  get isFull(): boolean {
    return this.#credit === this.#full;
  }

  /** No credit at all. */
  get isEmpty(): boolean {
    return this.#credit === 0;
  }

  /** As HAProxy shows it: `UP 2/3`, `DOWN 1/2`, plain `UP` or `DOWN` at either end. */
  get text(): string {
    const { fall, rise } = this.#thresholds;
    if (this.isFull) return "UP";
    if (this.isEmpty) return "DOWN";
    return this.isUp ? `UP ${this.#credit - rise + 1}/${fall}` : `DOWN ${this.#credit}/${rise}`;
  }

  get #full(): number {
    return this.#thresholds.rise + this.#thresholds.fall - 1;
  }

  pass(): void {
    this.#credit = this.#credit + 1 >= this.#thresholds.rise ? this.#full : this.#credit + 1;
  }

  fail(): void {
    this.#credit = this.#credit - 1 < this.#thresholds.rise ? 0 : this.#credit - 1;
  }

  /** HAProxy's `sudden-death`: one failure that leaves it one failure from down. */
  failNearly(): void {
    this.#credit = Math.min(this.#credit, this.#thresholds.rise + 1);
    this.fail();
  }

  /** HAProxy's `mark-down`: down now, whatever the credit was. */
  markDown(): void {
    this.#credit = 0;
  }
}

function creditOf({ fall, rise }: HealthThresholds, initial: InitialState): number {
  switch (initial) {
    case "up":
      return rise;
    case "down":
      return rise - 1;
    case "fully-up":
      return rise + fall - 1;
    case "fully-down":
      return 0;
  }
}

/** Times between two checks. */
export interface CheckRhythm {
  readonly intervalMs: number;
  /** While something is in doubt. */
  readonly fastIntervalMs: number;
  /** While it is down without doubt. */
  readonly downIntervalMs: number;
}

/** HAProxy's `srv_getinter`: which interval a credit asks for. Before the first check all is in doubt. */
export function intervalOf(credit: HealthCredit, rhythm: CheckRhythm): number {
  if (credit.isFull) return rhythm.intervalMs;
  return credit.isEmpty ? rhythm.downIntervalMs : rhythm.fastIntervalMs;
}
