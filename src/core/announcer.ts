import type { PoolEvent, PoolListener } from "./events.js";

interface Note {
  readonly event: PoolEvent;
  readonly nowMs: number;
  /** Those who listened when it happened. */
  readonly listeners: readonly PoolListener[];
}

/**
 * Tells listeners what happened once it has happened in full. Events are noted while the pool changes and
 * delivered when it is whole again, in order, so that a listener may call the pool: what that brings about is
 * told after what is being told now.
 */
export class Announcer {
  readonly #onFailure: (what: string) => void;
  #listeners: readonly PoolListener[] = [];
  #notes: Note[] = [];
  #isDelivering = false;

  /** `onFailure` hears of a listener that throws; the others are told all the same. */
  constructor(onFailure: (what: string) => void) {
    this.#onFailure = onFailure;
  }

  /** Whether something waits to be told. */
  get isPending(): boolean {
    return this.#notes.length > 0;
  }

  /** Answers how to stop, which takes effect at once. */
  subscribe(listener: PoolListener): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  /** Notes an event for the next delivery. */
  note(event: PoolEvent, nowMs: number): void {
    if (this.#listeners.length > 0) this.#notes.push({ event, nowMs, listeners: this.#listeners });
  }

  /** Delivers what was noted, and what is noted meanwhile. Does nothing while a delivery is under way. */
  deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (this.#notes.length > 0) {
        const notes = this.#notes;
        this.#notes = [];
        for (const note of notes) this.#tell(note);
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  #tell(note: Note): void {
    for (const listener of note.listeners) {
      if (!this.#listeners.includes(listener)) continue;
      try {
        listener(note.event, note.nowMs);
      } catch (error) {
        this.#onFailure(`a listener failed on ${note.event.type}: ${String(error)}`);
      }
    }
  }
}
