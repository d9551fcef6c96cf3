import { parseDuration } from "../duration.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { integer, SUBSTITUTED, scalar, strictMap, text } from "./field.js";

/** HAProxy keeps offsets in 20 bits. */
const MOST_OFFSET_MS = 524_287;

const EXPECTED = "a duration with its unit from -524287ms to 524287ms, such as 500ms or -2s";

/** `priority` of a listener and of a route. */
export const prioritySchema = strictMap({
  class: integer(
    "Of those who wait for a slot the lowest class is served first, whoever waits longer (HAProxy's set-priority-class).",
    { min: -2047, max: 2047 },
  ).prefault(0),
  offset: scalar(
    "Within a class, as if the request had come so much later, or with a minus earlier (HAProxy's set-priority-offset). -524287ms to 524287ms. Unit: ms, s, m or h.",
    parseOffset,
    { type: ["string", "integer"], pattern: `^(0|-?\\d+(ms|s|m|h))$|${SUBSTITUTED}`, minimum: 0, maximum: 0 },
  ).prefault("0s"),
  header: text(
    "Field with the class of a request, believed of clients in trustedNetworks alone; anything but a whole number from -2047 to 2047 changes nothing.",
    "the name of a header field",
    /^[A-Za-z0-9_.-]{1,128}$/,
  ).optional(),
});

function parseOffset(input: unknown): Parsed<number> {
  const isEarlier = typeof input === "string" && input.startsWith("-");
  const parsed = parseDuration(isEarlier ? input.slice(1) : input);
  if (!parsed.ok || parsed.value > MOST_OFFSET_MS) return refuse(EXPECTED);
  return accept(isEarlier && parsed.value > 0 ? -parsed.value : parsed.value);
}
