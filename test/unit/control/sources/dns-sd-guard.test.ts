import { createRequire } from "node:module";
import { type Answer, encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ParsedPacket, readPacket } from "../../../../src/control/sources/dns-sd/heard-packet.js";
import { chooseLinks, findLink } from "../../../../src/control/sources/dns-sd/link.js";
import { guardPacket } from "../../../../src/control/sources/dns-sd/packet-guard.js";
import { hostilePackets } from "./hostile-packets.js";

/** The package's own parser, which the guard stands before. */
const parser = createRequire(import.meta.url)("node-dns-sd/lib/dns-sd-parser.js") as {
  parse(bytes: Buffer): ParsedPacket | null;
};

const opt: Answer = {
  ...{ type: "OPT", name: ".", udpPayloadSize: 1440, extendedRcode: 0 },
  ...{ ednsVersion: 0, flags: 0, flag_do: false, options: [] },
};

const announcement = encode({
  type: "response",
  flags: 1 << 10,
  answers: [
    { type: "PTR", name: "_http._tcp.local", ttl: 4500, data: "web.1._http._tcp.local" },
    {
      type: "SRV",
      name: "web.1._http._tcp.local",
      ttl: 120,
      flush: true,
      data: { port: 80, priority: 1, weight: 2, target: "a.local" },
    },
    { type: "TXT", name: "web.1._http._tcp.local", ttl: 4500, data: ["path=/a=b\nc", "flag", "zone=x"] },
  ],
  additionals: [
    { type: "A", name: "a.local", ttl: 120, flush: true, data: "192.0.2.7" },
    { type: "AAAA", name: "a.local", ttl: 120, data: "fe80::1" },
    { type: "AAAA", name: "a.local", ttl: 120, data: "fd00:0:0::7" },
    opt,
  ],
});

function heard(bytes: Buffer) {
  const verdict = guardPacket(bytes);
  if (verdict.kind !== "sound") return verdict.kind;
  const packet = parser.parse(verdict.bytes);
  return packet === null ? "dropped" : readPacket(packet);
}

describe("the guard before the parser", () => {
  it("reads an announcement, EDNS and all, in the order it can be understood", () => {
    expect(heard(announcement)).toEqual([
      {
        type: "PTR",
        name: "_http._tcp.local",
        ttlSeconds: 4500,
        isFlush: false,
        target: "web.1._http._tcp.local",
      },
      {
        ...{ type: "SRV", name: "web.1._http._tcp.local", ttlSeconds: 120, isFlush: true },
        ...{ priority: 1, weight: 2, port: 80, target: "a.local" },
      },
      {
        ...{ type: "TXT", name: "web.1._http._tcp.local", ttlSeconds: 4500, isFlush: false },
        entries: [
          ["path", "/a=b\nc"],
          ["zone", "x"],
        ],
      },
      { type: "A", name: "a.local", ttlSeconds: 120, isFlush: true, address: "192.0.2.7" },
      { type: "AAAA", name: "a.local", ttlSeconds: 120, isFlush: false, address: "fd00::7" },
    ]);
  });

  it.each([
    ["TC", 2, 0x86],
    ["RD", 2, 0x85],
    ["RA", 3, 0x80],
    ["a response code", 3, 0x03],
    ["an id", 0, 0x12],
  ])("overlooks %s, as RFC 6762 section 18 asks", (_what, at, value) => {
    const bytes = Buffer.from(announcement);
    bytes[at] = value;
    expect(heard(bytes)).toEqual(heard(announcement));
  });

  it.each([
    ["a question", encode({ type: "query", questions: [{ type: "PTR", name: "_http._tcp.local" }] })],
    ["an answer of another operation", Buffer.concat([Buffer.from([0, 0, 0xa0]), announcement.subarray(3)])],
    ["nothing but EDNS", encode({ type: "response", additionals: [opt] })],
  ])("ignores %s", (_what, bytes) => {
    expect(guardPacket(bytes).kind).toBe("ignored");
  });

  it.each(hostilePackets)("stops %s", (_what, bytes) => {
    expect(guardPacket(bytes).kind).not.toBe("sound");
  });

  it("is needed: the parser alone is ended by some of them", () => {
    const ends = hostilePackets.filter(([, bytes]) => {
      try {
        parser.parse(bytes);
        return false;
      } catch {
        return true;
      }
    });
    expect(ends.length).toBeGreaterThan(5);
  });

  it.each([
    [64, "sound"],
    [65, "malformed"],
  ])("follows a chain of %i pointers: %s", (pointers, kind) => {
    const header = Buffer.from("000084000000000200000000", "hex");
    // A name of the root at 12, its data from 23 on: pointers, each to the one before, the first to the root.
    const chain = Array.from({ length: pointers - 1 }, (_, at) => [0xc0, at === 0 ? 12 : 21 + at * 2]).flat();
    const unknown = Buffer.from([0, 0, 99, 0, 1, 0, 0, 0, 1, 0, chain.length, ...chain]);
    const last = Buffer.from([0xc0, 21 + (pointers - 1) * 2, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4]);
    expect(guardPacket(Buffer.concat([header, unknown, last])).kind).toBe(kind);
  });

  it("stops a packet longer than one may be", () => {
    expect(guardPacket(Buffer.concat([announcement, Buffer.alloc(9_000)])).kind).toBe("malformed");
  });

  it("lets nothing through that the parser throws at, however a packet is mangled", () => {
    const edits = fc.array(fc.tuple(fc.nat(announcement.length - 1), fc.nat(255)), { maxLength: 10 });
    let sound = 0;
    fc.assert(
      fc.property(edits, fc.option(fc.nat(announcement.length)), (changes, length) => {
        const bytes = Buffer.from(announcement);
        for (const [at, value] of changes) bytes[at] = value;
        if (Array.isArray(heard(length === null ? bytes : bytes.subarray(0, length)))) sound += 1;
      }),
      { numRuns: 5_000, seed: 3 },
    );
    expect(sound).toBeGreaterThan(250);
  });

  it("lets nothing through that the parser throws at, whatever the bytes", () => {
    const header = Buffer.from("00008400000000020000", "hex");
    const bytes = fc.uint8Array({ maxLength: 120 }).map((tail) => Buffer.concat([header, tail]));
    fc.assert(
      fc.property(bytes, (packet) => void heard(packet)),
      { numRuns: 5_000, seed: 4 },
    );
  });
});

describe("the links of this machine", () => {
  const info = (address: string, netmask: string, internal = false) =>
    ({ address, netmask, internal, family: "IPv4", mac: "", cidr: null }) as const;
  const interfaces = {
    lo: [info("127.0.0.1", "255.0.0.0", true)],
    eth0: [
      info("192.0.2.2", "255.255.255.0"),
      { ...info("fe80::1", "ffff::"), family: "IPv6", scopeid: 1 } as const,
    ],
    wlan0: [info("169.254.3.4", "255.255.0.0")],
  };

  it("are all but loopback, or those that are named", () => {
    const names = (wanted?: string[]) => chooseLinks(interfaces, wanted).map(({ name }) => name);
    expect(names()).toEqual(["wlan0", "eth0"]);
    expect(names(["lo"])).toEqual(["lo"]);
    expect(names(["192.0.2.2"])).toEqual(["eth0"]);
    expect(names(["eth9"])).toEqual([]);
  });

  it.each([
    ["192.0.2.255", "eth0"],
    ["192.0.3.1", undefined],
    ["169.254.255.1", "wlan0"],
    ["127.0.0.1", undefined],
    ["fe80::1", undefined],
    ["", undefined],
  ])("hold %j: %j", (sender, name) => {
    expect(findLink(sender, chooseLinks(interfaces, undefined))?.name).toBe(name);
  });
});
