import { hasKind, KIND, kindOfName, kindSet } from "../field-kind.js";
import type { FieldList } from "../message.js";
import { isWord, listElements } from "./syntax.js";

/** What the Connection fields of a head ask for (RFC 9110 section 7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Further field names, in lower case, which are not forwarded. */
  readonly names: readonly string[];
}

const NO_NAMES: readonly string[] = [];
const NONE: ConnectionOptions = { close: false, keepAlive: false, upgrade: false, names: NO_NAMES };
const CLOSE: ConnectionOptions = { ...NONE, close: true };
const KEEP_ALIVE: ConnectionOptions = { ...NONE, keepAlive: true };

/** A client may not have these taken out by naming them: the next hop relies on what we say in them. */
const PROTECTED = kindSet(
  KIND.host,
  KIND.contentLength,
  KIND.transferEncoding,
  KIND.forwarded,
  KIND.xForwardedFor,
  KIND.xForwardedProto,
  KIND.xForwardedHost,
  KIND.xForwardedPort,
  KIND.xRealIp,
  KIND.via,
);

const OPTION_WORDS: ReadonlySet<string> = new Set(["close", "keep-alive", "upgrade", "te"]);

/** Request path. The usual three forms cost a comparison; others are read as the list they are. */
export function connectionOptionsOf(fields: FieldList): ConnectionOptions {
  const first = fields.valueOf(KIND.connection);
  if (first === undefined) return NONE;
  const values = fields.valuesOf(KIND.connection);
  if (values.length === 1) {
    if (isWord(first, 0, first.length, "keep-alive")) return KEEP_ALIVE;
    if (isWord(first, 0, first.length, "close")) return CLOSE;
  }
  const options = values.flatMap(listElements);
  return {
    close: options.includes("close"),
    keepAlive: options.includes("keep-alive"),
    upgrade: options.includes("upgrade"),
    names: options.filter((option) => !OPTION_WORDS.has(option) && !hasKind(PROTECTED, kindOfName(option))),
  };
}
