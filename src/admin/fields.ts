import type { OverrideTerms } from "../core/override.js";
import type { Duration } from "./generated/google/protobuf/duration.js";
import { invalid } from "./refusal.js";
import { fromDuration } from "./timestamps.js";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Longest life of an override. */
export const LONGEST_TTL_MS = 366 * DAY_MS;
/** Longest deadline, ejection or change of the log level. */
export const LONGEST_DEADLINE_MS = 7 * DAY_MS;

const LONGEST_OWNER = 256;
const LONGEST_REASON = 1024;
const LONGEST_NAME = 1024;

/** Who a change is put down to when nobody is named. */
const ANYBODY = "operator";

/** A duration greater than 0, in milliseconds; undefined when absent. */
export function positiveDuration(
  field: string,
  duration: Duration | undefined,
  longestMs: number,
): number | undefined {
  if (duration === undefined) return undefined;
  const ms = fromDuration(duration);
  if (!(ms > 0 && ms <= longestMs)) {
    throw invalid(field, `must be greater than 0 and at most ${inWords(longestMs)}`);
  }
  return ms;
}

/** A whole number from 0 to `greatest`. */
export function upTo(field: string, value: number, greatest: number): number {
  if (value > greatest) throw invalid(field, `must be 0 to ${greatest}, found ${value}`);
  return value;
}

/** A name that has to be there. */
export function required(field: string, name: string): string {
  if (name === "") throw invalid(field, "must be set");
  return shortText(field, name, LONGEST_NAME);
}

/** A name that may be left out. */
export function optional(field: string, name: string): string | undefined {
  return name === "" ? undefined : shortText(field, name, LONGEST_NAME);
}

/** Who asks and why. */
export interface Request {
  readonly owner: string;
  readonly reason: string;
}

/** Checks owner and reason. */
export function requester(request: Request): Request {
  const owner = shortText("owner", request.owner, LONGEST_OWNER);
  return {
    owner: owner === "" ? ANYBODY : owner,
    reason: shortText("reason", request.reason, LONGEST_REASON),
  };
}

/** The terms of an operator's override. */
export function operatorTerms(request: Request & { readonly ttl?: Duration | undefined }): OverrideTerms {
  const ttlMs = positiveDuration("ttl", request.ttl, LONGEST_TTL_MS);
  return { origin: "operator", ...requester(request), ttlMs };
}

function shortText(field: string, text: string, longest: number): string {
  if (text.length > longest)
    throw invalid(field, `must be at most ${longest} characters, found ${text.length}`);
  for (const character of text) {
    // It is shown in terminals, where a control character could do anything.
    if (character < " " || character === "\u007f") throw invalid(field, "must not hold control characters");
  }
  return text;
}

function inWords(ms: number): string {
  if (ms % DAY_MS === 0) return ms === DAY_MS ? "1 day" : `${ms / DAY_MS} days`;
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} hours` : `${ms / 1000} seconds`;
}
