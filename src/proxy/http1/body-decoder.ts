import { KIND } from "../field-kind.js";
import type { BodyFraming, FieldList } from "../message.js";
import { FAULT, faultOfFields, type HeadFault } from "./head-fault.js";
import { RawFields } from "./raw-fields.js";
import { BLANK, classOf, FIELD_VALUE, HEX, hasBareLf, TOKEN } from "./syntax.js";

/** Most bytes of one chunk-size line, extensions included. */
const CHUNK_LINE_BYTES_MAX = 256;
/** Most bytes of all chunk extensions of a body: a chunk of one byte may not carry endless ones. */
const EXTENSION_BYTES_MAX = 16 * 1024;
/** Chunks up to this size that were read together are passed on together. */
const GATHERED_BYTES_MAX = 4 * 1024;
/** Most bytes and fields of a trailer section. */
const TRAILER_BYTES_MAX = 16 * 1024;
const TRAILER_FIELDS_MAX = 64;
/** Hex digits of a chunk size that stay exact in a double. */
const SIZE_DIGITS_MAX = 12;

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Receives what a body carries, without its framing. */
export interface BodySink {
  /** Valid during the call only. */
  onBody(bytes: Buffer): void;
}

/** Where in a body the next byte stands. */
const State = {
  Done: 0,
  Length: 1,
  UntilClose: 2,
  ChunkSize: 3,
  ChunkExtension: 4,
  ChunkSizeLf: 5,
  ChunkData: 6,
  ChunkDataCr: 7,
  ChunkDataLf: 8,
  Trailers: 9,
} as const;
type State = (typeof State)[keyof typeof State];

/** Where in `;name=value` the next byte of a chunk extension stands. */
type ExtensionPart =
  | "name-start"
  | "name"
  | "value-start"
  | "value"
  | "quoted"
  | "quoted-pair"
  | "quoted-end";

/**
 * Request path. Takes the framing off a body as its bytes come, in any portions (RFC 9112 sections 6.2 and 7.1).
 * Serves one body after another.
 */
export class BodyDecoder {
  #state: State = State.Done;
  /** Bytes left of the body or chunk. */
  #left = 0;
  /** What chunks may still bring. */
  #roomBytes = 0;
  #sizeDigits = 0;
  #lineBytes = 0;
  #extensionBytes = 0;
  #extensionPart: ExtensionPart = "name-start";
  /** Data of small chunks that is not passed on yet, in the bytes that are decoded now. */
  #gatheredStart = 0;
  #gatheredEnd = 0;
  #trailerText = "";
  #trailers: RawFields | undefined;
  #fault: HeadFault | undefined;

  /** Whether the body's end was reached. */
  get isDone(): boolean {
    return this.#state === State.Done;
  }

  /** What is wrong with the framing; nothing more is decoded then. */
  get fault(): HeadFault | undefined {
    return this.#fault;
  }

  /** The trailer section of a chunked body; undefined when it is empty. */
  get trailers(): FieldList | undefined {
    return this.#trailers;
  }

  /** @param maxBytes a longer body is at fault as soon as its length, or the size of a chunk, tells */
  begin(framing: BodyFraming, maxBytes = Number.POSITIVE_INFINITY): void {
    this.#fault = undefined;
    this.#trailers = undefined;
    switch (framing.kind) {
      case "none":
        this.#state = State.Done;
        return;
      case "length":
        this.#left = framing.length;
        this.#state = framing.length === 0 ? State.Done : State.Length;
        if (framing.length > maxBytes) this.#fault = FAULT.bodyTooLarge;
        return;
      case "until-close":
        this.#state = State.UntilClose;
        return;
      case "chunked":
        this.#roomBytes = maxBytes;
        this.#extensionBytes = 0;
        this.#trailerText = "";
        this.#beginChunk();
    }
  }

  /** The connection ended: a body that runs until then is whole. */
  end(): void {
    if (this.#state === State.UntilClose) this.#state = State.Done;
  }

  /**
   * Decodes `bytes` from `start` on and answers the position behind what was used: short of the end only when
   * the body is done or at fault.
   */
  decode(bytes: Buffer, start: number, sink: BodySink): number {
    let at = start;
    this.#gatheredStart = start;
    this.#gatheredEnd = start;
    while (at < bytes.length && this.#state !== State.Done && this.#fault === undefined) {
      at = this.#isData ? this.#data(bytes, at, sink) : this.#framing(bytes, at);
    }
    this.#passGathered(bytes, sink);
    return at;
  }

  get #isData(): boolean {
    return (
      this.#state === State.Length || this.#state === State.UntilClose || this.#state === State.ChunkData
    );
  }

  #data(bytes: Buffer, start: number, sink: BodySink): number {
    if (this.#state === State.UntilClose) {
      sink.onBody(start === 0 ? bytes : bytes.subarray(start));
      return bytes.length;
    }
    const end = Math.min(bytes.length, start + this.#left);
    if (this.#state === State.ChunkData && this.#left <= GATHERED_BYTES_MAX && end === start + this.#left) {
      this.#gather(bytes, start, end);
      return end;
    }
    this.#passGathered(bytes, sink);
    this.#left -= end - start;
    if (this.#left === 0) this.#state = this.#state === State.Length ? State.Done : State.ChunkDataCr;
    sink.onBody(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    return end;
  }

  /**
   * Moves the data of a small chunk behind that of the one before, over the framing between them, so that a run of
   * small chunks is one portion for all who follow (the chunked row pays for it). How data was cut into chunks
   * means nothing (RFC 9112 section 7.1).
   */
  #gather(bytes: Buffer, start: number, end: number): void {
    if (this.#gatheredEnd === this.#gatheredStart) {
      this.#gatheredStart = start;
      this.#gatheredEnd = end;
    } else {
      bytes.copyWithin(this.#gatheredEnd, start, end);
      this.#gatheredEnd += end - start;
    }
    this.#left = 0;
    this.#state = State.ChunkDataCr;
  }

  #passGathered(bytes: Buffer, sink: BodySink): void {
    const start = this.#gatheredStart;
    const end = this.#gatheredEnd;
    if (end === start) return;
    this.#gatheredStart = end;
    sink.onBody(bytes.subarray(start, end));
  }

  #beginChunk(): void {
    this.#state = State.ChunkSize;
    this.#left = 0;
    this.#sizeDigits = 0;
    this.#lineBytes = 0;
  }

  #framing(bytes: Buffer, start: number): number {
    if (this.#state === State.Trailers) return this.#trailerBytes(bytes, start);
    const code = bytes[start] as number;
    switch (this.#state) {
      case State.ChunkSize:
        this.#size(code);
        break;
      case State.ChunkExtension:
        this.#extension(code);
        break;
      case State.ChunkSizeLf:
        this.#roomBytes -= this.#left;
        if (code !== LF) this.#fault = FAULT.badChunkSize;
        else if (this.#roomBytes < 0) this.#fault = FAULT.bodyTooLarge;
        else this.#state = this.#left === 0 ? State.Trailers : State.ChunkData;
        break;
      case State.ChunkDataCr:
        if (code !== CR) this.#fault = FAULT.badChunkEnd;
        else this.#state = State.ChunkDataLf;
        break;
      case State.ChunkDataLf:
        if (code !== LF) this.#fault = FAULT.badChunkEnd;
        else this.#beginChunk();
        break;
      default:
        break;
    }
    return start + 1;
  }

  #size(code: number): void {
    if ((classOf(code) & HEX) !== 0) {
      if (++this.#sizeDigits > SIZE_DIGITS_MAX) this.#fault = FAULT.chunkTooLarge;
      this.#left = this.#left * 16 + hexValue(code);
    } else if (this.#sizeDigits === 0) {
      this.#fault = FAULT.badChunkSize;
    } else if (code === CR) {
      this.#state = State.ChunkSizeLf;
    } else if (code === SEMICOLON) {
      this.#state = State.ChunkExtension;
      this.#extensionPart = "name-start";
    } else {
      this.#fault = FAULT.badChunkSize;
    }
  }

  /** Extensions are read over and not passed on; nobody relies on them (RFC 9112 section 7.1.1). */
  #extension(code: number): void {
    const next = nextInExtension(this.#extensionPart, code);
    if (next === undefined) {
      this.#fault = FAULT.badChunkExtension;
    } else if (code === CR) {
      this.#state = State.ChunkSizeLf;
    } else if (++this.#lineBytes > CHUNK_LINE_BYTES_MAX || ++this.#extensionBytes > EXTENSION_BYTES_MAX) {
      this.#fault = FAULT.chunkLineTooLong;
    } else {
      this.#extensionPart = next;
    }
  }

  /** Collects the trailer section up to its empty line. Rare, so it need not be fast. */
  #trailerBytes(bytes: Buffer, start: number): number {
    const before = this.#trailerText.length;
    const stop = Math.min(bytes.length, start + TRAILER_BYTES_MAX + 1 - before);
    const text = this.#trailerText + bytes.toString("latin1", start, stop);
    // Length of the field lines; the empty line follows them.
    const length = text.startsWith("\r\n") ? 0 : lengthUpToEmptyLine(text);
    if (length === undefined) {
      if (hasBareLf(text)) this.#fault = FAULT.badTrailers;
      else if (text.length > TRAILER_BYTES_MAX) this.#fault = FAULT.trailersTooLarge;
      this.#trailerText = text;
      return stop;
    }
    this.#readTrailers(text, length);
    return start + length + 2 - before;
  }

  #readTrailers(text: string, end: number): void {
    if (end > 0) {
      const fields = new RawFields();
      const section = Buffer.from(text.slice(0, end + 2), "latin1");
      const fieldFault = fields.parse(section, 0, 0, section.length, TRAILER_FIELDS_MAX);
      if (fieldFault !== undefined || hasFraming(fields)) {
        const isMalformed = fieldFault === undefined || fieldFault === "unfinished";
        this.#fault = isMalformed ? FAULT.badTrailers : faultOfFields(fieldFault);
        return;
      }
      fields.text = text;
      this.#trailers = fields;
    }
    this.#state = State.Done;
  }
}

/**
 * What follows `code` in a chunk extension (RFC 9112 section 7.1.1), or undefined when it cannot stand there.
 * White space, which that section calls bad, is not taken: others refuse it too.
 */
function nextInExtension(part: ExtensionPart, code: number): ExtensionPart | undefined {
  const bits = classOf(code);
  switch (part) {
    case "name-start":
      return (bits & TOKEN) !== 0 ? "name" : undefined;
    case "name":
      if ((bits & TOKEN) !== 0) return "name";
      if (code === EQUALS) return "value-start";
      return isExtensionEnd(code) ? "name-start" : undefined;
    case "value-start":
      if (code === QUOTE) return "quoted";
      return (bits & TOKEN) !== 0 ? "value" : undefined;
    case "value":
      if ((bits & TOKEN) !== 0) return "value";
      return isExtensionEnd(code) ? "name-start" : undefined;
    case "quoted":
      if (code === QUOTE) return "quoted-end";
      if (code === BACKSLASH) return "quoted-pair";
      return (bits & (FIELD_VALUE | BLANK)) !== 0 ? "quoted" : undefined;
    case "quoted-pair":
      return (bits & (FIELD_VALUE | BLANK)) !== 0 ? "quoted" : undefined;
    case "quoted-end":
      return isExtensionEnd(code) ? "name-start" : undefined;
  }
}

function isExtensionEnd(code: number): boolean {
  return code === SEMICOLON || code === CR;
}

/** Framing behind the body serves only to confuse whoever merges trailers (RFC 9110 section 6.5.1). */
function hasFraming(fields: RawFields): boolean {
  return fields.has(KIND.contentLength) || fields.has(KIND.transferEncoding);
}

function lengthUpToEmptyLine(text: string): number | undefined {
  const at = text.indexOf("\r\n\r\n");
  return at < 0 ? undefined : at + 2;
}

function hexValue(code: number): number {
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
}
