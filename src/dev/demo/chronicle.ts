/** One step of the story: under way, or judged. */
export interface ChronicleEntry {
  readonly state: "running" | "ok" | "failed";
  /** When it began and, once judged, ended; since the start of the demo. */
  readonly atMs: number;
  readonly text: string;
}

/** What a step found: whether it went as it should, and the facts in one line. */
export interface Finding {
  readonly ok: boolean;
  readonly text: string;
}

/** The demo was told to end, or a part it cannot go on without was lost: no step is to blame. */
export class Interrupted extends Error {}

/** The story as it happened, line by line. */
export class Chronicle {
  readonly #startedMs: number;
  readonly #nowMs: () => number;
  readonly #listeners = new Set<(entry: ChronicleEntry) => void>();
  #entries: ChronicleEntry[] = [];

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  get entries(): readonly ChronicleEntry[] {
    return this.#entries;
  }

  /** Since the start of the demo. */
  get elapsedMs(): number {
    return this.#nowMs() - this.#startedMs;
  }

  /** Whether every step that was judged went as it should. */
  get isGood(): boolean {
    return this.#entries.every(({ state }) => state !== "failed");
  }

  /** Calls back with every line that is added or judged. */
  follow(listener: (entry: ChronicleEntry) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Tells what happens now, runs it, and puts its finding in the place of that line. A rejection is a finding too.
   * Answers whether it went as it should.
   * @throws Interrupted as it came
   */
  async step(what: string, run: () => Promise<Finding>): Promise<boolean> {
    const running: ChronicleEntry = { state: "running", atMs: this.elapsedMs, text: what };
    this.#put(this.#entries.length, running);
    const place = this.#entries.length - 1;
    const finding = await run().catch((error: unknown) => {
      if (error instanceof Interrupted) throw error;
      return { ok: false, text: `${what}: ${error instanceof Error ? error.message : String(error)}` };
    });
    const state = finding.ok ? "ok" : "failed";
    this.#put(place, { state, atMs: this.elapsedMs, text: finding.text });
    return finding.ok;
  }

  #put(place: number, entry: ChronicleEntry): void {
    this.#entries = [...this.#entries.slice(0, place), entry, ...this.#entries.slice(place + 1)];
    for (const listener of this.#listeners) listener(entry);
  }
}
