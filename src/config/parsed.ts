/**
 * What a parser of one value answers: the value, or the second half of "found X, expected Y". A parser never
 * throws and never repeats what it found; whoever reports the problem knows that better.
 */
export type Parsed<T> = { readonly ok: true; readonly value: T } | Refusal;

/** Why a value was not understood. */
export interface Refusal {
  readonly ok: false;
  /** Completes "found X, expected ...". */
  readonly expected: string;
  /** The words that would have been right, for "did you mean". */
  readonly words: readonly string[];
}

/** The value was understood. */
export function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** The value was not understood; `expected` completes "found X, expected ...". */
export function refuse(expected: string, words: readonly string[] = []): Refusal {
  return { ok: false, expected, words };
}
