import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatBind,
  isExposed,
  parseBind,
  parseHostPort,
  parseSingleBind,
} from "../../../src/config/address.js";
import { parseCidr } from "../../../src/config/cidr.js";

const tcp = (host: string, port: number) => ({ kind: "tcp", host, port });

describe("parseBind", () => {
  it.each([
    ["127.0.0.1:8080", [tcp("127.0.0.1", 8080)]],
    [":8080", [tcp("::", 8080)]],
    ["[::1]:8080", [tcp("::1", 8080)]],
    ["localhost:0", [tcp("localhost", 0)]],
    ["127.0.0.1:60000-60002", [tcp("127.0.0.1", 60000), tcp("127.0.0.1", 60001), tcp("127.0.0.1", 60002)]],
    ["[::]:1-2", [tcp("::", 1), tcp("::", 2)]],
    ["unix:/run/a.sock", [{ kind: "unix", path: "/run/a.sock", mode: undefined }]],
    ["fd:3", [{ kind: "fd", fd: 3 }]],
  ])("reads %j", (text, addresses) => {
    expect(parseBind(text)).toEqual({ ok: true, value: addresses });
  });

  it.each([
    ["8080", "127.0.0.1:8080 or :8080"],
    [8080, "127.0.0.1:8080 or :8080"],
    ["127.0.0.1", "a host and a port"],
    ["127.0.0.1:65536", "a port from 0 to 65535"],
    ["127.0.0.1:-1", "a range of ports"],
    ["127.0.0.1:9-8", "begins with its lower port"],
    ["127.0.0.1:1-2-3", "a range of ports"],
    ["127.0.0.1:1-2000", "at most 1024 ports"],
    ["::1:8080", "in brackets"],
    ["[::g]:8080", "inside the brackets"],
    ["10.0.0.300:80", "a host name or an IP address"],
    ["a b:80", "a host name or an IP address"],
    ["http://127.0.0.1:80", "without a scheme"],
    ["unix:", "a path behind unix:"],
    [`unix:/${"a".repeat(107)}`, "at most 107 bytes"],
    ["fd:2", "fd:3 to fd:1023"],
    ["fd:x", "fd:3 to fd:1023"],
    ["", "a host and a port"],
    [undefined, "an address to listen on"],
  ])("refuses %j", (input, expected) => {
    expect(parseBind(input)).toMatchObject({ ok: false, expected: expect.stringContaining(expected) });
  });

  it("takes a socket path of 107 bytes and a range of 1024 ports", () => {
    expect(parseBind(`unix:/${"a".repeat(106)}`).ok).toBe(true);
    expect(parseBind("127.0.0.1:1-1024").ok).toBe(true);
  });

  it("reads back what formatBind writes", () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant("::"), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        const address = { kind: "tcp", host: name, port } as const;
        expect(parseBind(formatBind(address))).toEqual({ ok: true, value: [address] });
      }),
    );
  });

  it("spreads a range into exactly its ports, in order", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64_000 }), fc.integer({ min: 0, max: 1_023 }), (from, more) => {
        const parsed = parseBind(`127.0.0.1:${from}-${from + more}`);
        const ports = parsed.ok
          ? parsed.value.map((address) => (address.kind === "tcp" ? address.port : -1))
          : [];
        expect(ports).toEqual(Array.from({ length: more + 1 }, (_, index) => from + index));
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.anything(), (input) => typeof parseBind(input).ok === "boolean"));
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."[]:-.0159aunixfd/ ") }),
        (text) => typeof parseBind(text).ok === "boolean",
      ),
    );
  });
});

describe("parseSingleBind", () => {
  it("refuses a range of more than one port", () => {
    expect(parseSingleBind("127.0.0.1:1-2")).toMatchObject({
      ok: false,
      expected: "one address, not a range of ports",
    });
    expect(parseSingleBind("127.0.0.1:1-1")).toEqual({ ok: true, value: tcp("127.0.0.1", 1) });
  });
});

describe("parseHostPort", () => {
  it.each([
    ["10.0.0.2:80", { host: "10.0.0.2", port: 80 }],
    ["web-b:80", { host: "web-b", port: 80 }],
    ["web_1.svc.local.:65535", { host: "web_1.svc.local.", port: 65535 }],
    ["[fd00::1]:80", { host: "fd00::1", port: 80 }],
  ])("reads %j", (text, value) => {
    expect(parseHostPort(text)).toEqual({ ok: true, value });
  });

  it.each([":80", "web:0", "web", "web:80-81", "http://web:80", "web:80/path", "-web:80", "1.2.3:80", 80])(
    "refuses %j",
    (input) => {
      expect(parseHostPort(input).ok).toBe(false);
    },
  );
});

describe("isExposed", () => {
  it.each([
    ["127.0.0.1:1", false],
    ["127.8.9.1:1", false],
    ["[::1]:1", false],
    ["LocalHost:1", false],
    ["[::ffff:127.0.0.1]:1", false],
    ["unix:/a", false],
    ["fd:3", false],
    [":1", true],
    ["0.0.0.0:1", true],
    ["10.0.0.1:1", true],
    ["127.example.com:1", true],
    ["web:1", true],
  ])("%s: %s", (text, exposed) => {
    const parsed = parseSingleBind(text);
    expect(parsed.ok && isExposed(parsed.value)).toBe(exposed);
  });
});

describe("parseCidr", () => {
  it.each([
    ["127.0.0.0/8", "127.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["::1", "::1/128"],
    ["fd00::/8", "fd00::/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
  ])("reads %j as %j", (text, value) => {
    expect(parseCidr(text)).toEqual({ ok: true, value });
  });

  it.each(["10.0.0.0/33", "::/129", "10.0.0", "web", "10.0.0.0/", "10.0.0.0/a", "/8", "", 10])(
    "refuses %j",
    (input) => {
      expect(parseCidr(input).ok).toBe(false);
    },
  );
});
