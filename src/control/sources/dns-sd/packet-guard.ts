/** What to do with a datagram. */
export type GuardVerdict =
  /** A response whose every name and length was walked; flags that must be ignored are cleared. */
  | { readonly kind: "sound"; readonly bytes: Buffer }
  /** A question, or another operation: of no interest here. */
  | { readonly kind: "ignored" }
  | { readonly kind: "malformed"; readonly reason: string };

const headerBytes = 12;
/** RFC 6762 section 17. */
const packetBytesMax = 9_000;
const recordsMax = 1_000;
const nameBytesMax = 255;
/** A name has at most 127 labels, and nobody points at pointers. */
const pointersMax = 64;
const typeA = 1;
const typePtr = 12;
const typeTxt = 16;
const typeAaaa = 28;
const typeSrv = 33;

class Malformed extends Error {}

/**
 * Walks a packet before a parser sees it that follows a pointer to itself until its stack is full and reads
 * past the end. Answers with a copy that this parser takes: it drops packets with flags that RFC 6762 section
 * 18 says to ignore, and with records without data, such as EDNS, which stand at the end and are cut off.
 * Never throws.
 */
export function guardPacket(bytes: Buffer): GuardVerdict {
  if (bytes.length < headerBytes) return { kind: "malformed", reason: "shorter than a header" };
  // Answers of operation 0 alone (RFC 6762 section 18.3).
  if ((bytes.readUInt8(2) & 0xf8) !== 0x80) return { kind: "ignored" };
  try {
    return walk(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) return { kind: "malformed", reason: cause.message };
    throw cause;
  }
}

function walk(bytes: Buffer): GuardVerdict {
  if (bytes.length > packetBytesMax) throw new Malformed("longer than a packet may be");
  const counts = [4, 6, 8, 10].map((offset) => bytes.readUInt16BE(offset));
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
  if (questions + answers + authorities + additionals > recordsMax) throw new Malformed("too many records");
  let offset = headerBytes;
  for (let index = 0; index < questions; index += 1) {
    offset = endOfName(bytes, offset, bytes.length) + 4;
    if (offset > bytes.length) throw new Malformed("a question past the end");
  }
  let kept = 0;
  let end = offset;
  let isCut = false;
  for (let index = 0; index < answers + authorities + additionals; index += 1) {
    const next = endOfRecord(bytes, offset);
    isCut ||= next.dataBytes === 0;
    offset = next.offset;
    if (!isCut) {
      kept += 1;
      end = offset;
    }
  }
  if (kept === 0) return { kind: "ignored" };
  return { kind: "sound", bytes: cleanCopy(bytes.subarray(0, end), [questions, answers, authorities], kept) };
}

function cleanCopy(
  bytes: Buffer,
  [questions = 0, answers = 0, authorities = 0]: number[],
  kept: number,
): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(0x8400, 2);
  const keptAnswers = Math.min(answers, kept);
  const keptAuthorities = Math.min(authorities, kept - keptAnswers);
  copy.writeUInt16BE(questions, 4);
  copy.writeUInt16BE(keptAnswers, 6);
  copy.writeUInt16BE(keptAuthorities, 8);
  copy.writeUInt16BE(kept - keptAnswers - keptAuthorities, 10);
  return copy;
}

function endOfRecord(bytes: Buffer, start: number): { readonly offset: number; readonly dataBytes: number } {
  const head = endOfName(bytes, start, bytes.length);
  const data = head + 10;
  if (data > bytes.length) throw new Malformed("a record past the end");
  const dataBytes = bytes.readUInt16BE(head + 8);
  const offset = data + dataBytes;
  if (offset > bytes.length) throw new Malformed("data past the end");
  checkData(bytes, bytes.readUInt16BE(head), data, offset);
  return { offset, dataBytes };
}

function checkData(bytes: Buffer, type: number, start: number, end: number): void {
  const length = end - start;
  if (length === 0) return;
  if (type === typeA && length !== 4) throw new Malformed("an address of the wrong length");
  if (type === typeAaaa && length !== 16) throw new Malformed("an address of the wrong length");
  if (type === typePtr && endOfName(bytes, start, end) !== end)
    throw new Malformed("a name of the wrong length");
  if (type === typeSrv && (length < 7 || endOfName(bytes, start + 6, end) !== end)) {
    throw new Malformed("a service of the wrong length");
  }
  if (type === typeTxt) {
    let offset = start;
    while (offset < end) offset += 1 + bytes.readUInt8(offset);
    if (offset !== end) throw new Malformed("a text past its end");
  }
}

/** Where a name ends in the packet. Pointers may only lead back, so that following them ends. */
function endOfName(bytes: Buffer, start: number, limit: number): number {
  let offset = start;
  let lowest = start;
  let end: number | undefined;
  let nameBytes = 0;
  let pointers = 0;
  for (;;) {
    const bound = end === undefined ? limit : bytes.length;
    if (offset >= bound) throw new Malformed("a name past the end");
    const length = bytes.readUInt8(offset);
    if (length === 0) return end ?? offset + 1;
    if (length >= 0xc0) {
      if (offset + 2 > bound) throw new Malformed("a pointer past the end");
      end ??= offset + 2;
      const target = bytes.readUInt16BE(offset) & 0x3fff;
      pointers += 1;
      if (pointers > pointersMax) throw new Malformed("too many pointers");
      if (target >= lowest || target < headerBytes) throw new Malformed("a pointer that does not lead back");
      offset = target;
      lowest = target;
    } else if (length >= 0x40) {
      throw new Malformed("a label of a kind that does not exist");
    } else {
      nameBytes += length + 1;
      if (nameBytes >= nameBytesMax) throw new Malformed("a name that is too long");
      offset += length + 1;
    }
  }
}
