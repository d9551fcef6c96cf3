import { decode } from "dns-packet";
import { describe, expect, it } from "vitest";
import type { HeardRecord } from "../../../../src/control/sources/dns-sd/messages.js";
import { encodeQueries, isEncodable } from "../../../../src/control/sources/dns-sd/query.js";
import { RecordCache } from "../../../../src/control/sources/dns-sd/record-cache.js";

const service = "_http._tcp.local";
const a = { address: "192.0.2.1", link: "eth0" };

function ptr(target: string, ttlSeconds = 100): HeardRecord {
  return { type: "PTR", name: service, ttlSeconds, isFlush: false, target };
}

function address(name: string, value: string, isFlush = true, ttlSeconds = 100): HeardRecord {
  return { type: "A", name, ttlSeconds, isFlush, address: value };
}

function cache(limits = { recordsMax: 100, recordsPerSenderMax: 100 }): RecordCache {
  return new RecordCache(limits);
}

function values(held: RecordCache, nowMs: number): string[] {
  held.expire(nowMs, () => false);
  return [...held.all()]
    .map(({ record }) => (record.type === "PTR" ? record.target : record.type === "A" ? record.address : ""))
    .sort();
}

describe("the record cache", () => {
  it("forgets a record when its time to live is over, and not before", () => {
    const held = cache();
    held.take(ptr("x"), a, 0, 0);
    expect(values(held, 99_999)).toEqual(["x"]);
    expect(values(held, 100_000)).toEqual([]);
    expect(held.size).toBe(0);
  });

  it("takes names in any case for the same", () => {
    const held = cache();
    held.take(ptr("Web"), a, 0, 0);
    held.take({ ...ptr("wEB"), name: service.toUpperCase() }, a, 1_000, 0);
    expect(held.find("PTR", "_HTTP._tcp.Local")).toHaveLength(1);
    expect(values(held, 100_999)).toEqual(["wEB"]);
  });

  it("lets a goodbye count after one second", () => {
    const held = cache();
    held.take(ptr("x"), a, 0, 0);
    held.take(ptr("x", 0), a, 5_000, 0);
    held.take(ptr("y", 0), a, 5_000, 0);
    held.take(ptr("x", 0), a, 5_500, 0);
    expect(values(held, 5_999)).toEqual(["x"]);
    expect(values(held, 6_000)).toEqual([]);
  });

  it("takes back a goodbye that is followed by an announcement", () => {
    const held = cache();
    held.take(ptr("x"), a, 0, 0);
    held.take(ptr("x", 0), a, 5_000, 0);
    held.take(ptr("x"), a, 5_500, 0);
    expect(values(held, 50_000)).toEqual(["x"]);
  });

  it("outdates by a flush what is older than a second, on the same link, and no pointers", () => {
    const held = cache();
    held.take(address("h", "192.0.2.1", false), a, 0, 0);
    held.take(address("h", "198.51.100.1"), { ...a, link: "wlan0" }, 0, 0);
    held.take(address("h", "192.0.2.2"), a, 1_000, 0);
    expect(values(held, 2_500)).toHaveLength(3);
    held.take(address("h", "192.0.2.3"), a, 3_000, 0);
    expect(values(held, 3_999)).toHaveLength(4);
    expect(values(held, 4_000)).toEqual(["192.0.2.3", "198.51.100.1"]);
    held.take(ptr("x"), a, 0, 0);
    held.take({ ...ptr("y"), isFlush: true }, a, 5_000, 0);
    expect(held.find("PTR", service)).toHaveLength(2);
  });

  it.each([
    [0, [80_000, 85_000, 90_000, 95_000]],
    [0.999_999, [81_999, 86_999, 91_999, 96_999]],
  ])("asks at 80, 85, 90 and 95 %% of the time to live, by chance %d up to 2 %% later", (random, times) => {
    const held = cache();
    held.take(ptr("x"), a, 0, random);
    for (const timeMs of times) {
      expect(held.takeDue(timeMs - 1, () => random)).toEqual([]);
      expect(held.nextMs(timeMs - 1)).toBeGreaterThanOrEqual(timeMs);
      expect(held.takeDue(timeMs + 1, () => random)).toHaveLength(1);
    }
    expect(held.takeDue(99_999, () => random)).toEqual([]);
    expect(held.nextMs(99_999)).toBe(100_000);
    held.take(ptr("x"), a, 99_999, 0);
    expect(held.nextMs(99_999)).toBe(179_999);
  });

  it("does not ask for what is taken back", () => {
    const held = cache();
    held.take(ptr("x"), a, 0, 0);
    held.take(ptr("x", 0), a, 79_500, 0);
    expect(held.takeDue(80_000, () => 0)).toEqual([]);
  });

  it("takes so many records and no more, in all and of one sender", () => {
    const held = cache({ recordsMax: 3, recordsPerSenderMax: 2 });
    for (const target of ["x", "y", "z"]) held.take(ptr(target), a, 0, 0);
    expect(held.size).toBe(2);
    held.take(ptr("x"), a, 10_000, 0);
    for (const target of ["p", "q"]) held.take(ptr(target), { ...a, address: "192.0.2.9" }, 0, 0);
    expect(values(held, 1)).toEqual(["p", "x", "y"]);
    expect(held.refused).toBe(2);
    expect(values(held, 100_000)).toEqual(["x"]);
    held.take(ptr("z"), a, 100_000, 0);
    expect(values(held, 100_001)).toEqual(["x", "z"]);
  });

  it("keeps what it is told to keep, unless that was taken back", () => {
    const held = cache();
    held.take(ptr("x"), a, 0, 0);
    held.take(ptr("y"), a, 0, 0);
    held.take(ptr("y", 0), a, 50_000, 0);
    held.expire(200_000, () => true);
    expect([...held.all()].map(({ record }) => record)).toEqual([ptr("x")]);
  });

  it("believes nobody for longer than a day", () => {
    const held = cache();
    held.take(ptr("x", 0xffff_ffff), a, 0, 0);
    expect(values(held, 24 * 3_600_000)).toEqual([]);
  });
});

describe("questions to the link", () => {
  it("are read by others, labels with dots and all", () => {
    const [bytes = Buffer.alloc(0)] = encodeQueries(
      [{ type: "SRV", labels: ["a.b c", "_http", "_tcp", "local"] }],
      [{ labels: ["_http", "_tcp", "local"], target: ["x", "_http", "_tcp", "local"], ttlSeconds: 70_000 }],
    );
    expect(bytes.subarray(12, 18)).toEqual(Buffer.from([5, ...Buffer.from("a.b c")]));
    expect(decode(bytes)).toMatchObject({
      id: 0,
      flag_qr: false,
      flag_tc: false,
      questions: [{ type: "SRV", name: `a.b c.${service}` }],
      answers: [{ type: "PTR", name: service, data: `x.${service}`, ttl: 70_000 }],
    });
  });

  it("go on in further packets where one is full, and say so", () => {
    const labels = service.split(".");
    const known = Array.from({ length: 100 }, (_, at) => ({
      labels,
      target: [`instance number ${at}`, ...labels],
      ttlSeconds: 60,
    }));
    const packets = encodeQueries([{ type: "PTR", labels }], known).map((bytes) => {
      expect(bytes.length).toBeLessThanOrEqual(1_200);
      return decode(bytes);
    });
    expect(packets.length).toBeGreaterThan(3);
    expect(packets.map(({ flag_tc }) => flag_tc)).toEqual(packets.map((_, at) => at < packets.length - 1));
    expect(packets.map(({ questions }) => questions?.length)).toEqual(
      packets.map((_, at) => (at === 0 ? 1 : 0)),
    );
    expect(packets.flatMap(({ answers }) => answers ?? [])).toHaveLength(100);
  });

  it.each([
    [[""], false],
    [["a".repeat(63)], true],
    [["a".repeat(64)], false],
    [["ä".repeat(32)], false],
    [Array(4).fill("a".repeat(63)), false],
  ])("can hold %j: %j", (labels, expected) => {
    expect(isEncodable(labels)).toBe(expected);
  });
});
