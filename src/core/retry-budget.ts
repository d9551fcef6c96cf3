/** How many tries may be under way besides the first ones. */
export interface RetryBudgetRules {
  /** Share of the requests under way, 0 to 100. */
  readonly percent: number;
  /** Always allowed, so that a pool with little traffic can retry at all. */
  readonly min: number;
}

/**
 * Keeps retries from becoming a storm: at most `max(min, percent of the requests under way)` exchanges may be at a
 * further try at once (Envoy's `retry_budget`). Counted when it is decided, so that those in their back-off pause count
 * too. Each exchange holds at most one place.
 */
export class RetryBudget {
  #active = 0;

  /** Exchanges that hold a place. */
  get active(): number {
    return this.#active;
  }

  /** Takes a place; false when there is none. `underWay` counts the requests of the pool, those in the queue too. */
  take(rules: RetryBudgetRules, underWay: number): boolean {
    const most = Math.max(rules.min, Math.floor((rules.percent * underWay) / 100));
    if (this.#active >= most) return false;
    this.#active++;
    return true;
  }

  giveBack(): void {
    this.#active--;
  }
}
