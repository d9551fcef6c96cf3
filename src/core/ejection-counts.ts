import { type DetectedCause, EJECTION_CAUSES, type EjectionCause } from "./outlier.js";

/** What became of what one detector found. */
export interface EjectionCount {
  /** The detector fired on a backend in service. */
  detected: number;
  enforced: number;
  /** The cap left no room. */
  overflowed: number;
}

/** What a pool's detectors found since the start, by cause, backends that left included. */
export class EjectionCounts {
  readonly #byCause: Readonly<Record<EjectionCause, EjectionCount>>;

  constructor() {
    const zero = (): EjectionCount => ({ detected: 0, enforced: 0, overflowed: 0 });
    const entries = EJECTION_CAUSES.map((cause) => [cause, zero()] as const);
    this.#byCause = Object.fromEntries(entries) as Record<EjectionCause, EjectionCount>;
  }

  of(cause: EjectionCause): Readonly<EjectionCount> {
    return this.#byCause[cause];
  }

  detected(cause: DetectedCause): void {
    this.#byCause[cause].detected++;
  }

  enforced(cause: EjectionCause): void {
    this.#byCause[cause].enforced++;
  }

  overflowed(cause: DetectedCause): void {
    this.#byCause[cause].overflowed++;
  }
}
