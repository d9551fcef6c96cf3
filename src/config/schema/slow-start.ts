import { z } from "zod";
import { parseDuration } from "../duration.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { decimal, duration, integer, isOff, SUBSTITUTED, scalar, strictMap } from "./field.js";

const SHORTEST_WINDOW_MS = 10;

const slowStartMap = strictMap({
  window: duration("From the join or return of a backend to its full share.", { min: "10ms" }),
  aggression: decimal("The share grows with time to the power of 1/aggression; 1 is linear.", {
    min: 0.1,
    max: 10,
  }).prefault(1),
  minPercent: integer("Least share from the start, in percent; a sixteenth is granted in any case.", {
    min: 0,
    max: 99,
  }).prefault(0),
});

type SlowStart = z.output<typeof slowStartMap>;

/** `slowStart`: the window, or a map with it. Undefined where it is off, or 0. */
export const slowStartSchema = z.union([
  scalar("The window of a linear ramp, or off.", parseWindow, {
    anyOf: [{ enum: ["off", false, 0] }, { type: "string", pattern: `^(0|\\d+(ms|s|m|h))$|${SUBSTITUTED}` }],
  }),
  slowStartMap,
]);

function parseWindow(input: unknown): Parsed<SlowStart | undefined> {
  if (isOff(input)) return accept(undefined);
  const parsed = parseDuration(input);
  if (!parsed.ok) return refuse("off, a duration or a map");
  if (parsed.value === 0) return accept(undefined);
  if (parsed.value < SHORTEST_WINDOW_MS) return refuse(`off, or at least ${SHORTEST_WINDOW_MS}ms`);
  return accept({ window: parsed.value, aggression: 1, minPercent: 0 });
}
