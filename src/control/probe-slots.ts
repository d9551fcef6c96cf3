/** A place in the line for a probe, or the right to run one. */
export interface ProbeSlot {
  /** Gives it back, or leaves the line. Harmless the second time. */
  release(): void;
}

class Slot implements ProbeSlot {
  readonly #slots: ProbeSlots;
  readonly #granted: () => void;
  state: "waiting" | "held" | "released" = "waiting";

  constructor(slots: ProbeSlots, granted: () => void) {
    this.#slots = slots;
    this.#granted = granted;
  }

  grant(): void {
    this.state = "held";
    this.#granted();
  }

  release(): void {
    this.#slots.released(this);
  }
}

/**
 * Caps the probes that are under way at once over the whole process. Who comes too many waits in line; since no
 * backend has more than one probe of a kind, the line is never longer than there are checks.
 */
export class ProbeSlots {
  #most: number;
  #held = 0;
  readonly #waiting = new Set<Slot>();

  /** @param most probes at once */
  constructor(most: number) {
    this.#most = most;
  }

  /** Probes under way. */
  get held(): number {
    return this.#held;
  }

  /** Probes that wait for one to end. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Another cap; what is under way goes on. */
  limitTo(most: number): void {
    this.#most = most;
    this.#grant();
  }

  /** Calls back when a probe may run, at once where there is room. */
  take(granted: () => void): ProbeSlot {
    const slot = new Slot(this, granted);
    this.#waiting.add(slot);
    this.#grant();
    return slot;
  }

  /** For a slot: it is given back. */
  released(slot: Slot): void {
    const { state } = slot;
    slot.state = "released";
    if (state === "waiting") this.#waiting.delete(slot);
    if (state !== "held") return;
    this.#held--;
    this.#grant();
  }

  #grant(): void {
    for (const slot of this.#waiting) {
      if (this.#held >= this.#most) return;
      this.#waiting.delete(slot);
      this.#held++;
      slot.grant();
    }
  }
}
