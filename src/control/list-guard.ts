import type { Endpoint } from "../core/endpoint.js";

/** When an answer is not believed at once. */
export interface SuspicionRules {
  /** Suspect is an answer that leaves so many percent fewer than took work before; 100: it leaves none. */
  readonly removedPercent: number;
  /** Longest time a suspect answer is held. */
  readonly holdMs: number;
}

/** An answer that is held: what it lacks and what lives stays in force. */
export interface Suspicion {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Took work by the last list that was believed. */
  readonly before: number;
  /** Would take work by the answer. */
  readonly left: number;
  readonly held: readonly Endpoint[];
}

/**
 * - `answer`: a later answer lists enough again
 * - `lifeless`: nothing that the answer lacks shows life any more
 * - `time`: it was held for as long as the rules allow
 */
export type SuspicionEnd = "answer" | "lifeless" | "time";

/** What is in force after an answer was judged. */
export interface Judged {
  readonly endpoints: readonly Endpoint[];
  /** Undefined when the answer is believed. */
  readonly suspicion: Suspicion | undefined;
  /** How a suspicion ended just now. */
  readonly end: SuspicionEnd | undefined;
}

/**
 * Holds an answer that would take everything away (or more than a share) from a pool whose backends live: a
 * catalog that lost its state looks like a service that ended. What the answer itself says of an instance is
 * never doubted: a critical one is out at once. Only instances that it lacks stay, and only those that show
 * life, for as long as they do. Pure.
 */
export class ListGuard {
  /** The last list that was believed. */
  #believed: readonly Endpoint[] = [];
  #sinceMs: number | undefined;

  /**
   * Judges a new answer, or the same one again when time has passed or a sign of life has gone.
   *
   * @param rules undefined believes everything.
   * @param isAlive whether the pool's own knowledge says that an instance works.
   */
  judge(
    answer: readonly Endpoint[],
    rules: SuspicionRules | undefined,
    isAlive: (endpoint: Endpoint) => boolean,
    nowMs: number,
  ): Judged {
    const before = countWorking(this.#believed);
    const left = countWorking(answer);
    if (rules === undefined || before === 0 || (before - left) * 100 < rules.removedPercent * before)
      return this.#believe(answer, "answer");
    const listed = new Set(answer.map(({ key }) => key));
    const held = this.#believed.filter(
      (endpoint) => endpoint.admitted && !listed.has(endpoint.key) && isAlive(endpoint),
    );
    if (held.length === 0) return this.#believe(answer, "lifeless");
    this.#sinceMs ??= nowMs;
    const untilMs = this.#sinceMs + rules.holdMs;
    if (nowMs >= untilMs) return this.#believe(answer, "time");
    const suspicion = { sinceMs: this.#sinceMs, untilMs, before, left, held };
    return { endpoints: [...answer, ...held], suspicion, end: undefined };
  }

  #believe(answer: readonly Endpoint[], end: SuspicionEnd): Judged {
    const wasSuspect = this.#sinceMs !== undefined;
    this.#believed = answer;
    this.#sinceMs = undefined;
    return { endpoints: answer, suspicion: undefined, end: wasSuspect ? end : undefined };
  }
}

function countWorking(endpoints: readonly Endpoint[]): number {
  let count = 0;
  for (const { admitted, weight } of endpoints) if (admitted && weight > 0) count++;
  return count;
}
