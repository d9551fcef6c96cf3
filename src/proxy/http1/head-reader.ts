import { FAULT, type HeadFault } from "./head-fault.js";
import { classOf, hasBareLf, TOKEN } from "./syntax.js";

/** Empty lines before a request that are passed over (RFC 9112 section 2.2). */
const EMPTY_LINE_BYTES_MAX = 4;

/** What was found of a head. */
export type HeadReading =
  /** Not whole yet, from `start` on. */
  | { readonly kind: "part"; readonly start: number }
  /** What no further byte can mend. `text` is its beginning. */
  | { readonly kind: "fault"; readonly fault: HeadFault; readonly text: string }
  /** A whole head, empty line included. */
  | { readonly kind: "whole"; readonly end: number };

/** Request path. Finds where the head of a request begins and ends in what was read so far. */
export class HeadReader {
  readonly #maxHeadBytes: number;
  #emptyLineBytes = 0;

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** Passes over empty lines at the beginning of `bytes`; answers where a head begins. */
  begin(bytes: Buffer): number {
    let at = 0;
    while (this.#emptyLineBytes < EMPTY_LINE_BYTES_MAX && bytes[at] === 0x0d && bytes[at + 1] === 0x0a) {
      at += 2;
      this.#emptyLineBytes += 2;
    }
    return at;
  }

  /**
   * @param bytes everything that was read and not used
   * @param start where the head begins; what lies before is used up
   */
  read(bytes: Buffer, start: number): HeadReading {
    const end = bytes.indexOf("\r\n\r\n", start, "latin1");
    if (end < 0 || end + 4 - start > this.#maxHeadBytes) return this.#readPart(bytes, start);
    return { kind: "whole", end: end + 4 };
  }

  /** A head was used: the next one may have empty lines before it again. */
  end(): void {
    this.#emptyLineBytes = 0;
  }

  #readPart(bytes: Buffer, start: number): HeadReading {
    if (start === bytes.length) return { kind: "part", start };
    const text = bytes.toString("latin1", start, Math.min(bytes.length, start + this.#maxHeadBytes));
    const isTooLong = bytes.length - start >= this.#maxHeadBytes;
    const fault = isTooLong ? faultOfTooLong(text) : faultOfPart(text);
    return fault === undefined ? { kind: "part", start } : { kind: "fault", fault, text };
  }
}

/** A client that speaks so would otherwise wait for the time limit. */
function faultOfPart(text: string): HeadFault | undefined {
  // Not one byte of what begins so can be a request; half an empty line may still become a whole one.
  if (text !== "\r" && (classOf(text.charCodeAt(0)) & TOKEN) === 0) return FAULT.badMethod;
  return hasBareLf(text) ? FAULT.bareLf : undefined;
}

function faultOfTooLong(text: string): HeadFault {
  return faultOfPart(text) ?? (text.includes("\r\n") ? FAULT.headTooLarge : FAULT.targetTooLong);
}
