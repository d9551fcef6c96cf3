import type { ListenerLimits } from "../../config/model.js";
import type { FieldList } from "../message.js";
import { BodyDecoder, type BodySink } from "./body-decoder.js";
import { NO_BODY } from "./framing.js";
import { FAULT, type HeadFault, isFault } from "./head-fault.js";
import { HeadReader, type HeadReading } from "./head-reader.js";
import { RawFields } from "./raw-fields.js";
import { type Http1RequestHead, parseRequestHead } from "./request-head.js";

/**
 * Request path. What a client sent and nobody used yet, and how requests are taken off it one after another: a head
 * (RFC 9112 sections 2 to 5), then its body (sections 6 and 7). Says what is there and what is wrong with it; what
 * follows from either is the connection's business.
 */
export class RequestReader {
  readonly #limits: ListenerLimits;
  readonly #allowsConnect: boolean;
  readonly #maxBodyBytes: number;
  readonly #fields = new RawFields();
  readonly #decoder = new BodyDecoder();
  readonly #headReader: HeadReader;
  /** In the shared buffer until `retain`. */
  #rest: Buffer | undefined;
  /** Whether `#rest` came in one read. */
  #isFresh = false;
  #bytesAtHand = 0;
  #headBytes = 0;
  #faultText = "";

  constructor(limits: ListenerLimits, allowsConnect: boolean) {
    this.#limits = limits;
    this.#allowsConnect = allowsConnect;
    this.#maxBodyBytes = limits.maxBodyBytes === 0 ? Number.POSITIVE_INFINITY : limits.maxBodyBytes;
    this.#headReader = new HeadReader(limits.maxHeadBytes);
  }

  // ---------------------------------------------------------------- bytes

  /** Bytes that are read and not used. */
  get unusedBytes(): number {
    return this.#rest === undefined ? 0 : this.#rest.length;
  }

  get isEmpty(): boolean {
    return this.#rest === undefined;
  }

  /** Bytes came. They may lie in the shared buffer, until `retain`. */
  offer(chunk: Buffer): void {
    this.#isFresh = this.#rest === undefined;
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** What was not used lies in the shared buffer, which the next read of any connection overwrites. */
  retain(): void {
    if (this.#rest !== undefined && this.#isFresh) this.#rest = Buffer.from(this.#rest);
  }

  drop(): void {
    this.#rest = undefined;
  }

  /** Hands over what was not used, for another protocol to read. */
  takeRest(): Buffer | undefined {
    const rest = this.#rest;
    this.#rest = undefined;
    return rest === undefined ? undefined : Buffer.from(rest);
  }

  // ---------------------------------------------------------------- heads

  /** Bytes that were at hand from the beginning of the last head on, and how many of them were the head. */
  get bytesAtHand(): number {
    return this.#bytesAtHand;
  }

  get headBytes(): number {
    return this.#headBytes;
  }

  /** The beginning of what the last fault was found in, latin1. */
  get faultText(): string {
    return this.#faultText;
  }

  /** The next head, or what is wrong with it; undefined while it is not whole. */
  readHead(): Http1RequestHead | HeadFault | undefined {
    const bytes = this.#rest;
    if (bytes === undefined) return undefined;
    const { maxHeaders, maxHeadBytes } = this.#limits;
    const start = this.#headReader.begin(bytes);
    // Nearly always a head is whole in one read. Nothing else is looked for then (the get-64 row pays for it).
    const head = this.#isFresh
      ? parseRequestHead(bytes, start, bytes.length, this.#fields, maxHeaders, this.#allowsConnect)
      : undefined;
    if (head === undefined || isFault(head) || head.fields.headBytes > maxHeadBytes)
      return this.#readPart(bytes, start);
    this.#use(bytes, start, start + head.fields.headBytes);
    return head;
  }

  /** Gives up a head that was begun. */
  abandonHead(): void {
    const rest = this.#rest;
    this.#bytesAtHand = this.#headBytes = this.unusedBytes;
    this.#faultText = rest === undefined ? "" : rest.toString("latin1", 0, FAULT_TEXT_BYTES_MAX);
    this.#rest = undefined;
  }

  /** The same for what is no good head yet, or comes in parts. */
  #readPart(bytes: Buffer, start: number): Http1RequestHead | HeadFault | undefined {
    const reading: HeadReading = this.#headReader.read(bytes, start);
    switch (reading.kind) {
      case "part":
        this.#keepRest(bytes, reading.start);
        return undefined;
      case "fault":
        this.#rest = undefined;
        this.#bytesAtHand = this.#headBytes = bytes.length;
        this.#faultText = reading.text;
        return reading.fault;
      case "whole":
        this.#use(bytes, start, reading.end);
        return this.#parse(bytes, start, reading.end);
    }
  }

  #parse(bytes: Buffer, start: number, end: number): Http1RequestHead | HeadFault {
    const { maxHeaders } = this.#limits;
    const head = parseRequestHead(bytes, start, end, this.#fields, maxHeaders, this.#allowsConnect);
    if (head !== undefined && !isFault(head)) return head;
    this.#faultText = bytes.toString("latin1", start, end);
    return head ?? FAULT.badRequestLine;
  }

  #use(bytes: Buffer, start: number, end: number): void {
    this.#headReader.end();
    this.#keepRest(bytes, end);
    this.#bytesAtHand = bytes.length - start;
    this.#headBytes = end - start;
  }

  #keepRest(bytes: Buffer, from: number): void {
    this.#rest = from >= bytes.length ? undefined : from === 0 ? bytes : bytes.subarray(from);
  }

  // ---------------------------------------------------------------- bodies

  /** A body is to be read. @param head undefined for what is no request and has none */
  beginBody(head: Http1RequestHead | undefined): void {
    this.#decoder.begin(head === undefined ? NO_BODY : head.body, this.#maxBodyBytes);
  }

  /** Passes on what is at hand of the body. False when the exchange ended meanwhile, and this is no longer its body. */
  readBody(sink: BodySink): boolean {
    const bytes = this.#rest;
    if (bytes === undefined) return false;
    const used = this.#decoder.decode(bytes, 0, sink);
    if (this.#rest !== bytes) return false;
    this.#keepRest(bytes, used);
    return true;
  }

  /** Whether more of the body is needed than there is. */
  get lacksBody(): boolean {
    return this.#rest === undefined && !this.#decoder.isDone;
  }

  get isBodyDone(): boolean {
    return this.#decoder.isDone;
  }

  get bodyFault(): HeadFault | undefined {
    return this.#decoder.fault;
  }

  get trailers(): FieldList | undefined {
    return this.#decoder.trailers;
  }
}

/** More of what was no request is not shown to anybody. */
const FAULT_TEXT_BYTES_MAX = 256;
