import { describe, expect, it } from "vitest";
import { forwardedLines, TrustedNetworks } from "../../../src/proxy/headers.js";
import type { ClientFacts } from "../../../src/proxy/message.js";
import { requestHead } from "../../support/heads.js";

function lines(fields: string, facts: Partial<ClientFacts> = {}, line = "GET / HTTP/1.1"): string {
  const head = requestHead(`${line}\r\n${fields}\r\n`);
  const client = {
    remoteAddress: "192.0.2.7",
    isTrusted: false,
    scheme: "http",
    localAuthority: "127.0.0.1:80",
  };
  return forwardedLines(head, { ...client, ...facts } as ClientFacts);
}

const HOST = "Host: a.example\r\n";
const TRUSTED = { isTrusted: true };
const VIA = "via: 1.1 pilotfish\r\n";

describe("a client that is not trusted", () => {
  it("is described by its address alone, whatever it says of others", () => {
    const own = `${HOST}x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: a.example\r\n${VIA}`;
    expect(lines(HOST)).toBe(own);
    const claims =
      "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Forwarded-Port: 1\r\n";
    expect(lines(HOST + claims)).toBe(own);
  });

  it("has no X-Forwarded-For on a unix socket, where it has no address", () => {
    expect(lines(HOST, { remoteAddress: "" })).not.toContain("x-forwarded-for");
  });
});

describe("a trusted client", () => {
  it("has its X-Forwarded-For continued, over all lines of it", () => {
    const text = lines(
      `${HOST}X-Forwarded-For: 1.1.1.1\r\nA: 1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n`,
      TRUSTED,
    );
    expect(text).toContain("x-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n");
    expect(text.match(/x-forwarded-for/gi)).toHaveLength(1);
    expect(text).toContain("A: 1\r\n");
  });

  it("keeps what it says of scheme, host, port and address", () => {
    const claims =
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 1.1.1.1\r\n" +
      "X-Forwarded-Prefix: /p\r\n";
    const text = lines(HOST + claims, TRUSTED);
    for (const kept of [
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: b",
      "X-Forwarded-Port: 443",
      "X-Real-IP: 1.1.1.1",
      "X-Forwarded-Prefix: /p",
    ]) {
      expect(text).toContain(`${kept}\r\n`);
    }
    expect(text).not.toContain("x-forwarded-proto: http\r\n");
  });

  it("has Forwarded continued where there is one (RFC 7239 section 4)", () => {
    expect(lines(`${HOST}Forwarded: for=1.1.1.1\r\n`, TRUSTED)).toContain(
      "forwarded: for=1.1.1.1, for=192.0.2.7;proto=http\r\n",
    );
    expect(lines(`${HOST}Forwarded: for=x\r\n`, { ...TRUSTED, remoteAddress: "2001:db8::1" })).toContain(
      'forwarded: for=x, for="[2001:db8::1]";proto=http\r\n',
    );
    expect(lines(`${HOST}Forwarded: for=x\r\n`, { ...TRUSTED, remoteAddress: "" })).toContain(
      "forwarded: for=x, for=unknown;proto=http\r\n",
    );
    expect(lines(HOST, TRUSTED)).not.toContain("forwarded: for");
  });

  it("cannot have its list taken out by naming it in Connection", () => {
    const text = lines(`${HOST}X-Forwarded-For: 1.1.1.1\r\nConnection: x-forwarded-for\r\n`, TRUSTED);
    expect(text).toContain("x-forwarded-for: 1.1.1.1, 192.0.2.7\r\n");
  });

  it.each(["X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP"])(
    "cannot have its %s taken out by naming it in Connection",
    (name) => {
      const text = lines(`${HOST}${name}: x\r\nConnection: ${name}\r\n`, TRUSTED);
      expect(text).toContain(`${name}: x\r\n`);
    },
  );

  it("is rid of the fields of its connection all the same", () => {
    const text = lines(
      `${HOST}X-Forwarded-For: 1.1.1.1\r\nConnection: x\r\nX: 1\r\nKeep-Alive: 1\r\n`,
      TRUSTED,
    );
    expect(text).not.toMatch(/^(connection|x|keep-alive):/im);
  });
});

describe("Host", () => {
  it("is written where HTTP/1.0 sent none: of the target, else of our own address", () => {
    expect(lines("", {}, "GET / HTTP/1.0")).toMatch(/^host: 127\.0\.0\.1:80\r\n/);
    expect(lines("", {}, "GET http://a.example:81/ HTTP/1.0")).toMatch(/^host: a\.example:81\r\n/);
  });
});

describe("trusted networks", () => {
  it.each([
    [["10.0.0.0/8"], "10.1.2.3", true],
    [["10.0.0.0/8"], "11.0.0.1", false],
    [["10.0.0.1"], "10.0.0.1", true],
    [["10.0.0.1"], "10.0.0.2", false],
    [["2001:db8::/32"], "2001:db8::1", true],
    [["2001:db8::/32"], "2001:db9::1", false],
    [["10.0.0.0/8"], "2001:db8::1", false],
    [[], "127.0.0.1", false],
    [[], "", true],
  ] as const)("%j: %s, %s", (networks, address, isTrusted) => {
    expect(new TrustedNetworks(networks).has(address)).toBe(isTrusted);
  });
});
