import type { Clock } from "../platform/clock.js";
import type { Duration } from "./generated/google/protobuf/duration.js";
import type { Timestamp } from "./generated/google/protobuf/timestamp.js";

/** The clocks read one after the other differ by less; what differs by more was set by somebody. */
const SET_MS = 50;

/**
 * Turns the program's monotonic times into wall times for answers. Answers follow a wall clock that was set;
 * otherwise the same moment has the same wall time in every answer.
 */
export class Timestamps {
  readonly #clock: Clock;
  /** From monotonic to wall time. */
  #offsetMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  now(): Timestamp {
    return wallTimestamp(this.#clock.wallMs());
  }

  /** A monotonic time; undefined and infinite times stay absent. */
  at(monotonicMs: number | undefined): Timestamp | undefined {
    if (monotonicMs === undefined || !Number.isFinite(monotonicMs)) return undefined;
    const offsetMs = this.#clock.wallMs() - this.#clock.nowMs();
    if (Math.abs(offsetMs - this.#offsetMs) > SET_MS) this.#offsetMs = offsetMs;
    return wallTimestamp(this.#offsetMs + monotonicMs);
  }

  /** From a monotonic time until now. */
  since(monotonicMs: number | undefined): Duration | undefined {
    return monotonicMs === undefined ? undefined : toDuration(this.#clock.nowMs() - monotonicMs);
  }

  /** From a wall time until now. */
  sinceWall(wallMs: number): Duration {
    return toDuration(this.#clock.wallMs() - wallMs);
  }
}

/** Milliseconds since the Unix epoch, to the whole millisecond. */
export function wallTimestamp(wallMs: number): Timestamp {
  const whole = Math.round(wallMs);
  const seconds = Math.floor(whole / 1000);
  return { seconds: BigInt(seconds), nanos: (whole - seconds * 1000) * 1_000_000 };
}

/** To the whole millisecond; never negative. */
export function toDuration(ms: number): Duration {
  const whole = Math.max(0, Math.round(ms));
  const seconds = Math.floor(whole / 1000);
  return { seconds: BigInt(seconds), nanos: (whole - seconds * 1000) * 1_000_000 };
}

/** To the whole microsecond, for what takes less than a millisecond; never negative. */
export function toFineDuration(ms: number): Duration {
  const whole = Math.max(0, Math.round(ms * 1000));
  const seconds = Math.floor(whole / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (whole - seconds * 1_000_000) * 1000 };
}

/** In milliseconds, with fractions. */
export function fromDuration(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
}
