/** How many failures in a row take a backend down, how many passes bring it back. */
export interface HealthThresholds {
  readonly fall: number;
  readonly rise: number;
}

/**
 * HAProxy's health credit: one whole number from 0 to rise + fall - 1; up from `rise` on. A failure takes one
 * off, and falling below `rise` drops it to 0; a pass adds one, and reaching `rise` lifts it to full credit.
 * So one pass in the up range restores everything. It starts at `rise`: up, but the first failure takes it
 * down (`init-state up`).
 */
export class HealthCredit {
  readonly #thresholds: HealthThresholds;
  #credit: number;

  constructor(thresholds: HealthThresholds) {
    this.#thresholds = thresholds;
    this.#credit = thresholds.rise;
  }

  get isUp(): boolean {
    return this.#credit >= this.#thresholds.rise;
  }

  /** Full credit or none: nothing is in doubt. Between the two HAProxy probes at its fast interval. */
  get isSettled(): boolean {
    return this.#credit === 0 || this.#credit === this.#full;
  }

  /** As HAProxy shows it: `UP 2/3`, `DOWN 1/2`, plain `UP` or `DOWN` at either end. */
  get text(): string {
    const { fall, rise } = this.#thresholds;
    if (this.#credit === this.#full) return "UP";
    if (this.#credit === 0) return "DOWN";
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
}
