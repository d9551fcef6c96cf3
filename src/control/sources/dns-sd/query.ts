/** A question to the link. */
export interface LinkQuestion {
  readonly type: "PTR" | "SRV" | "TXT" | "A" | "AAAA";
  /** Labels, since those of instances may hold dots. */
  readonly labels: readonly string[];
}

/** An instance that is known already: who has it need not say so (RFC 6762 section 7.1). */
export interface KnownAnswer {
  readonly labels: readonly string[];
  readonly target: readonly string[];
  readonly ttlSeconds: number;
}

const typeCodes = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 };
const classIn = 1;
/** Fits into a frame of Ethernet with room to spare. */
const queryBytesMax = 1_200;
const truncated = 0x0200;

/**
 * Encodes questions and known answers into as many packets as they need. Where answers go on in a further
 * packet, the one before says so by TC, and the others have no question (RFC 6762 section 7.2).
 *
 * @throws RangeError for a label that is empty or longer than 63 bytes; see `isEncodable`.
 */
export function encodeQueries(
  questions: readonly LinkQuestion[],
  known: readonly KnownAnswer[] = [],
): readonly Buffer[] {
  const packets: Draft[] = [];
  let draft: Draft = { questions: [], answers: [], bytes: 12 };
  const room = (bytes: number) => {
    if (draft.bytes + bytes > queryBytesMax && draft.bytes > 12) {
      packets.push(draft);
      draft = { questions: [], answers: [], bytes: 12 };
    }
    draft.bytes += bytes;
  };
  for (const question of questions) {
    const bytes = Buffer.concat([encodeName(question.labels), words(typeCodes[question.type], classIn)]);
    room(bytes.length);
    draft.questions.push(bytes);
  }
  for (const answer of known) {
    const target = encodeName(answer.target);
    const head = words(
      typeCodes.PTR,
      classIn,
      answer.ttlSeconds >>> 16,
      answer.ttlSeconds & 0xffff,
      target.length,
    );
    const bytes = Buffer.concat([encodeName(answer.labels), head, target]);
    room(bytes.length);
    draft.answers.push(bytes);
  }
  packets.push(draft);
  return packets.map(({ questions: asked, answers }, index) => {
    const goesOn =
      (packets[index + 1]?.answers.length ?? 0) > 0 && packets[index + 1]?.questions.length === 0;
    const header = words(0, goesOn ? truncated : 0, asked.length, answers.length, 0, 0);
    return Buffer.concat([header, ...asked, ...answers]);
  });
}

/** Whether a name can stand in a question. */
export function isEncodable(labels: readonly string[]): boolean {
  const lengths = labels.map((label) => Buffer.byteLength(label));
  return (
    lengths.every((length) => length > 0 && length <= 63) &&
    lengths.reduce((sum, length) => sum + length + 1, 1) <= 255
  );
}

interface Draft {
  readonly questions: Buffer[];
  readonly answers: Buffer[];
  bytes: number;
}

function encodeName(labels: readonly string[]): Buffer {
  if (!isEncodable(labels)) throw new RangeError(`not a name: ${labels.join(".")}`);
  const parts = labels.flatMap((label) => {
    const bytes = Buffer.from(label);
    return [Buffer.from([bytes.length]), bytes];
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}
