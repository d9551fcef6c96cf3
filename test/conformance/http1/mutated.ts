import fc from "fast-check";
import { FORWARDED_FIELDS, REFUSED_FIELDS } from "./cases-fields.js";
import { FORWARDED_FRAMING, REFUSED_FRAMING } from "./cases-framing.js";
import { FORWARDED_REQUEST_LINES, REFUSED_REQUEST_LINES } from "./cases-request-line.js";
import { CUT_RESPONSES, FRAMED_RESPONSES } from "./cases-response-framing.js";
import { INVALID_RESPONSES, PASSED_RESPONSES } from "./cases-responses.js";
import { FORWARDED_SMUGGLING, REFUSED_SMUGGLING } from "./cases-smuggling.js";

/** Longer cases are about limits; they only slow a search down. */
const CASE_LENGTH_MAX = 2_000;

/** The bytes of every request case. */
export const REQUEST_TEXTS: readonly string[] = [
  ...FORWARDED_REQUEST_LINES,
  ...REFUSED_REQUEST_LINES,
  ...FORWARDED_FIELDS,
  ...REFUSED_FIELDS,
  ...FORWARDED_FRAMING,
  ...REFUSED_FRAMING,
  ...FORWARDED_SMUGGLING,
  ...REFUSED_SMUGGLING,
]
  .map(({ send }) => send)
  .filter(({ length }) => length <= CASE_LENGTH_MAX);

/** The bytes of every response case. */
export const RESPONSE_TEXTS: readonly string[] = [
  ...PASSED_RESPONSES,
  ...INVALID_RESPONSES,
  ...FRAMED_RESPONSES,
  ...CUT_RESPONSES,
]
  .map(({ answer }) => answer)
  .filter(({ length }) => length <= CASE_LENGTH_MAX);

/** What tends to matter where it does not belong. */
const SPICES: readonly string[] = [
  ...'\r\n\t \0:;,="\\%#@/?*+-_x0159afgF\x0b\x0c\x7f\x80\xa0\xff'.split(""),
  "\r\n",
  "\r\n\r\n",
  "\r\n ",
  "0\r\n\r\n",
  "chunked",
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Upgrade: websocket\r\nConnection: upgrade\r\n",
  "Expect: 100-continue\r\n",
  "Host: b.example\r\n",
  "HTTP/1.0",
  "HTTP/1.1",
  "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
];

interface Edit {
  /** Share of the text, 0 up to 1. */
  readonly place: number;
  readonly dropped: number;
  readonly inserted: string;
}

const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    dropped: fc.nat({ max: 3 }),
    inserted: fc.oneof(
      fc.constant(""),
      fc.constantFrom(...SPICES),
      fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)),
    ),
  }),
  { maxLength: 3 },
);

/** Texts of one or two cases behind each other, with a few things put in, taken out or changed. */
export function mutated(texts: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(fc.constantFrom(...texts), { minLength: 1, maxLength: 2 }), edits)
    .map(([chosen, changes]) => changes.reduce(applyEdit, chosen.join("")));
}

function applyEdit(text: string, { place, dropped, inserted }: Edit): string {
  const at = Math.floor(place * (text.length + 1));
  return text.slice(0, at) + inserted + text.slice(at + dropped);
}

/** Pieces of a text, cut at shares of its length. */
export function cut(text: string, cuts: readonly number[]): readonly string[] {
  const places = cuts.map((share) => Math.floor(share * text.length)).sort((a, b) => a - b);
  const pieces: string[] = [];
  let from = 0;
  for (const at of [...places, text.length]) {
    if (at > from) pieces.push(text.slice(from, at));
    from = Math.max(from, at);
  }
  return pieces;
}

export const cuts: fc.Arbitrary<readonly number[]> = fc.array(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  { maxLength: 8 },
);

/** How long each search runs: a few seconds, or as long as `PILOTFISH_FUZZ_SECONDS` says. */
export const FUZZ_MS = Number(process.env.PILOTFISH_FUZZ_SECONDS ?? 3) * 1_000;
const SEED = process.env.PILOTFISH_FUZZ_SEED;
const isLong = process.env.PILOTFISH_FUZZ_SECONDS !== undefined;

/**
 * A search that ends by time alone. What it finds it makes as small as it can, and prints it with its seed, which
 * `PILOTFISH_FUZZ_SEED` takes; a long one (`npm run fuzz`) says at its end how much it tried.
 */
export function byTime<T>(): fc.Parameters<T> {
  return {
    numRuns: 1_000_000_000,
    interruptAfterTimeLimit: FUZZ_MS,
    markInterruptAsFailure: false,
    ...(SEED === undefined ? {} : { seed: Number(SEED) }),
    reporter: (details) => {
      if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
      if (isLong) console.log(`${details.numRuns} texts tried, seed ${details.seed}`);
    },
  };
}
