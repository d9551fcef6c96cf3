import { encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeQuestion, readMessage } from "../../../../src/control/sources/dns/message.js";
import { at, encodeReply, type Reply, soa, srv } from "./fake-name-servers.js";

const question = { name: "Web.Service.test", type: "SRV" } as const;
const query = encodeQuestion(question, 0x1234, true);

function read(reply: Reply, change: (bytes: Buffer) => Buffer = (bytes) => bytes) {
  return readMessage(change(encodeReply(query, reply)), question, 0x1234);
}

function edit(bytes: Buffer, index: number, value: number): Buffer {
  bytes[index] = value;
  return bytes;
}

function answersOf(reply: Reply) {
  const reading = read(reply);
  return reading.kind === "answer" ? reading.message.answers : reading;
}

describe("reading an answer", () => {
  it("takes names in any case, as they are compressed, and folds them", () => {
    // Header, the question, and an answer whose names point back into it (RFC 1035 section 4.1.4).
    const bytes = Buffer.concat([
      Buffer.from("123484000001000100000000", "hex"),
      Buffer.from([3, ...Buffer.from("wEb"), 7, ...Buffer.from("SERVICE"), 4, ...Buffer.from("test"), 0]),
      Buffer.from("00210001", "hex"),
    ]);
    const record = Buffer.from([
      0xc0, 0x0c, 0, 33, 0, 1, 0, 0, 0, 5, 0, 10, 0, 1, 0, 2, 0, 80, 1, 0x41, 0xc0, 24,
    ]);
    const reading = readMessage(Buffer.concat([bytes, record]), question, 0x1234);
    expect(reading).toMatchObject({
      kind: "answer",
      message: {
        rcode: "NOERROR",
        answers: [
          {
            type: "SRV",
            name: "web.service.test",
            ttlMs: 5_000,
            priority: 1,
            weight: 2,
            port: 80,
            target: "a.test",
          },
        ],
      },
    });
  });

  it.each([
    ["another id", (bytes: Buffer) => edit(bytes, 0, 0x99)],
    ["a question of its own", (bytes: Buffer) => edit(bytes, 2, bytes.readUInt8(2) & 0x7f)],
    [
      "an answer to another question",
      () => encodeReply(encodeQuestion({ ...question, name: "api.test" }, 0x1234, true), {}),
    ],
    [
      "an answer to another type",
      () => encodeReply(encodeQuestion({ ...question, type: "A" }, 0x1234, true), {}),
    ],
    ["an answer without its question", () => encode({ type: "response", id: 0x1234 })],
    ["fewer bytes than a header", (bytes: Buffer) => bytes.subarray(0, 11)],
  ])("passes over %s", (_what, change) => {
    expect(read({ answers: [srv("web.service.test", "a.test", 80)] }, change).kind).toBe("foreign");
  });

  it("hears a server that is too old to repeat the question it refuses", () => {
    const bytes = encode({ type: "response", id: 0x1234 });
    bytes.writeUInt8(1, 3);
    expect(readMessage(bytes, question, 0x1234)).toMatchObject({
      kind: "answer",
      message: { rcode: "FORMERR" },
    });
  });

  it("takes a time to live with its first bit set for 0", () => {
    const reply = { answers: [srv("web.service.test", "a.test", 80, { ttl: 0x8000_0000 })] };
    expect(answersOf(reply)).toMatchObject([{ ttlMs: 0 }]);
  });

  it.each(["a b.test", "a\u0001.test", "ä.test", "a\n.test"])("leaves out a target named %j", (target) => {
    const good = srv("web.service.test", "a.test", 80);
    expect(answersOf({ answers: [srv("web.service.test", target, 80), good] })).toHaveLength(1);
  });

  it("tells how long none may be believed: the smaller of two numbers", () => {
    for (const [ttl, minimum] of [
      [60, 5],
      [5, 60],
    ] as const) {
      expect(read({ rcode: "NXDOMAIN", authorities: [soa(ttl, minimum)] })).toMatchObject({
        message: { rcode: "NXDOMAIN", negativeTtlMs: 5_000 },
      });
    }
  });

  it("knows whether the server speaks EDNS and whether it cut the answer", () => {
    expect(read({ isPlain: true, isTruncated: true })).toMatchObject({
      message: { isEdns: false, isTruncated: true },
    });
    expect(read({})).toMatchObject({ message: { isEdns: true, isTruncated: false } });
  });
});

describe("hostile bytes", () => {
  const header = Buffer.from("123480000001000100000000", "hex");
  const asked = query.subarray(12, query.length - 11);

  it.each([
    ["a name that points to itself", Buffer.from([0xc0, asked.length + 12, 0, 1, 0, 1])],
    ["a pointer past the end", Buffer.from([0xff, 0xff, 0, 1, 0, 1])],
    ["a label past the end", Buffer.from([63, 65])],
    ["a record without data", Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 0, 0, 50, 0])],
    ["no record where one is announced", Buffer.alloc(0)],
  ])("%s are malformed, not fatal", (_what, tail) => {
    expect(readMessage(Buffer.concat([header, asked, tail]), question, 0x1234).kind).toBe("malformed");
  });

  it("never throw, however an answer is mangled", () => {
    const good = encodeReply(query, {
      answers: [srv("web.service.test", "a.test", 80), at("CNAME", "x.test", "y.test")],
      additionals: [at("A", "a.test", "10.0.0.1"), at("AAAA", "a.test", "fd00::1")],
      authorities: [soa(1, 1)],
    });
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 });
    fc.assert(
      fc.property(changes, fc.nat(good.length), fc.boolean(), (edits, length, isCut) => {
        const bytes = Buffer.from(good);
        for (const [index, value] of edits) bytes[index] = value;
        const reading = readMessage(isCut ? bytes.subarray(0, length) : bytes, question, 0x1234);
        expect(["answer", "foreign", "malformed"]).toContain(reading.kind);
      }),
      { numRuns: 3_000, seed: 7 },
    );
  });
});
