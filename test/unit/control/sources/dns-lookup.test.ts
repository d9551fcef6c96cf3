import { beforeEach, describe, expect, it } from "vitest";
import { DnsClient } from "../../../../src/control/sources/dns/client.js";
import { DnsLookup } from "../../../../src/control/sources/dns/lookup.js";
import { encodeQuestion } from "../../../../src/control/sources/dns/message.js";
import { at, encodeReply, FakeNameServers, soa, srv } from "./fake-name-servers.js";

let servers = new FakeNameServers();

beforeEach(() => {
  servers = new FakeNameServers();
});

function client(hosts = ["10.0.0.1"], retries = 0): DnsClient {
  return new DnsClient({
    transport: servers,
    servers: () => hosts.map((host) => ({ host, port: 53 })),
    timeoutMs: 1_000,
    retries,
  });
}

const lookup = () => new DnsLookup(client());
const web = { name: "web.test", type: "SRV" } as const;

describe("asking name servers", () => {
  it("asks by TCP what a server says it cut", async () => {
    servers.zone.set("SRV web.test udp", { answers: [srv("web.test", "a.test", 80)], isTruncated: true });
    servers.zone.set("SRV web.test tcp", {
      answers: [srv("web.test", "a.test", 80), srv("web.test", "b.test", 80)],
    });
    const result = await client().ask(web);
    expect(result).toMatchObject({ kind: "found", message: { answers: [{}, {}] } });
    expect(servers.asked).toEqual(["udp 10.0.0.1:53 SRV web.test", "tcp 10.0.0.1:53 SRV web.test"]);
  });

  it("takes no answer that is known to be cut", async () => {
    servers.zone.set("SRV web.test udp", { answers: [srv("web.test", "a.test", 80)], isTruncated: true });
    servers.zone.set("SRV web.test tcp", "ECONNREFUSED");
    expect(await client().ask(web)).toMatchObject({
      kind: "other",
      reason: "10.0.0.1:53: the answer was cut, and over TCP: ECONNREFUSED",
    });
  });

  it.each([
    [29, false],
    [45, true],
  ])("asks by TCP what may have been cut without a word: %i records, %j", async (count, isAskedAgain) => {
    const answers = Array.from({ length: count }, (_, index) =>
      srv("web.service.consul", `host-${index}.node.dc1.consul`, 80),
    );
    servers.zone.set("SRV web.service.consul", { answers });
    const result = await client().ask({ name: "web.service.consul", type: "SRV" });
    expect(result).toMatchObject({ kind: "found" });
    expect(servers.asked.some((line) => line.startsWith("tcp"))).toBe(isAskedAgain);
  });

  it("is content with a large answer of a server without TCP", async () => {
    const answers = Array.from({ length: 60 }, (_, index) => srv("web.test", `host-${index}.test`, 80));
    servers.zone.set("SRV web.test udp", { answers });
    servers.zone.set("SRV web.test tcp", "ECONNREFUSED");
    expect(await client().ask(web)).toMatchObject({ kind: "found", message: { answers: { length: 60 } } });
  });

  it("asks without EDNS a server that takes it for broken", async () => {
    servers.zone.set("SRV web.test", { rcode: "FORMERR", isPlain: true });
    expect(await client().ask(web)).toMatchObject({ kind: "other", reason: "10.0.0.1:53: FORMERR" });
    expect(servers.asked).toHaveLength(2);
  });

  it("goes to the next server, and begins with the one that answered", async () => {
    servers.zone.set("SRV web.test 10.0.0.1", "silent");
    servers.zone.set("SRV web.test 10.0.0.2", { rcode: "SERVFAIL" });
    servers.zone.set("SRV web.test 10.0.0.3", { answers: [srv("web.test", "a.test", 80)] });
    const asking = client(["10.0.0.1", "10.0.0.2", "10.0.0.3"], 2);
    expect(await asking.ask(web)).toMatchObject({ kind: "found", server: { host: "10.0.0.3" } });
    expect(servers.takeAsked()).toHaveLength(3);
    await asking.ask(web);
    expect(servers.asked).toEqual(["udp 10.0.0.3:53 SRV web.test"]);
  });

  it("waits for the true answer among foreign ones", async () => {
    servers.zone.set("SRV web.test", {
      answers: [srv("web.test", "a.test", 80)],
      before: (query) => [
        encodeReply(encodeQuestion(web, query.readUInt16BE(0) ^ 1, true), {
          answers: [srv("web.test", "evil.test", 80)],
        }),
        encodeReply(encodeQuestion({ ...web, name: "x.test" }, query.readUInt16BE(0), true), {}),
      ],
    });
    expect(await client().ask(web)).toMatchObject({ message: { answers: [{ target: "a.test" }] } });
  });

  it.each([
    ["silent", "timeout"],
    ["ECONNREFUSED", "timeout"],
    [{ rcode: "REFUSED" }, "refused"],
    [{ rcode: "SERVFAIL" }, "other"],
    [{ rcode: "NXDOMAIN" }, "nx"],
    [{ spoil: (bytes: Buffer) => bytes.subarray(0, 20) }, "other"],
  ] as const)("calls %j %s", async (behaviour, kind) => {
    servers.zone.set("SRV web.test", behaviour);
    expect((await client().ask(web)).kind).toBe(kind);
  });

  it("has another id for every question", async () => {
    const ids = new Set<number>();
    const note = (query: Buffer): Buffer[] => {
      ids.add(query.readUInt16BE(0));
      return [];
    };
    servers.zone.set("SRV web.test", { before: note });
    const asking = client();
    for (let index = 0; index < 50; index += 1) await asking.ask(web);
    expect(ids.size).toBeGreaterThan(40);
  });
});

describe("looking up an SRV name", () => {
  it("takes addresses that come along, and asks for the others", async () => {
    servers.zone.set("SRV web.test", {
      answers: [srv("web.test", "A.test", 80, { ttl: 60 }), srv("web.test", "b.test", 81, { weight: 7 })],
      additionals: [at("A", "a.TEST", "10.0.0.2", 30), at("AAAA", "a.test", "fd00::2", 20)],
    });
    servers.zone.set("A b.test", { answers: [at("A", "b.test", "10.0.0.3", 15)] });
    servers.zone.set("AAAA b.test", { answers: [] });
    expect(await lookup().srv("web.test")).toEqual({
      kind: "found",
      instances: [
        { target: "a.test", port: 80, priority: 1, weight: 1, addresses: ["10.0.0.2", "fd00::2"] },
        { target: "b.test", port: 81, priority: 1, weight: 7, addresses: ["10.0.0.3"] },
      ],
      ttlMs: 10_000,
      trouble: "",
    });
  });

  it("follows aliases, also those an answer leaves open", async () => {
    servers.zone.set("SRV web.test", { answers: [at("CNAME", "web.test", "real.test", 4)] });
    servers.zone.set("SRV real.test", { answers: [srv("real.test", "a.test", 80)] });
    servers.zone.set("A a.test", {
      answers: [at("CNAME", "a.test", "b.test"), at("A", "b.test", "10.0.0.1")],
    });
    expect(await lookup().srv("web.test")).toMatchObject({
      kind: "found",
      ttlMs: 4_000,
      instances: [{ target: "a.test", addresses: ["10.0.0.1"] }],
    });
  });

  it("ends in a circle of aliases", async () => {
    servers.zone.set("SRV web.test", { answers: [at("CNAME", "web.test", "x.test")] });
    servers.zone.set("SRV x.test", { answers: [at("CNAME", "x.test", "web.test")] });
    expect(await lookup().srv("web.test")).toMatchObject({ kind: "other" });
    servers.zone.set("SRV web.test", { answers: [at("CNAME", "web.test", "web.test")] });
    expect(await lookup().srv("web.test")).toMatchObject({ kind: "nx" });
  });

  it("knows none where the answer is empty, or the root is the target", async () => {
    servers.zone.set("SRV web.test", { authorities: [soa(9, 9)] });
    expect(await lookup().srv("web.test")).toMatchObject({ kind: "nx", negativeTtlMs: 9_000 });
    servers.zone.set("SRV web.test", { answers: [srv("web.test", ".", 80)] });
    expect(await lookup().srv("web.test")).toMatchObject({ kind: "nx" });
  });

  it("keeps the address of a target that cannot be asked for, and loses that of one that is gone", async () => {
    const looking = lookup();
    servers.zone.set("SRV web.test", {
      answers: [srv("web.test", "a.test", 80), srv("web.test", "b.test", 80)],
    });
    servers.zone.set("A a.test", { answers: [at("A", "a.test", "10.0.0.1")] });
    servers.zone.set("A b.test", { answers: [at("A", "b.test", "10.0.0.2")] });
    await looking.srv("web.test");
    servers.zone.set("A a.test", "silent");
    servers.zone.set("AAAA a.test", "silent");
    servers.zone.set("A b.test", { rcode: "NXDOMAIN" });
    expect(await looking.srv("web.test")).toMatchObject({
      instances: [{ target: "a.test", addresses: ["10.0.0.1"] }],
      trouble: "b.test: 10.0.0.1:53: NXDOMAIN",
    });
  });

  it("asks no more targets when the servers are silent", async () => {
    const answers = Array.from({ length: 200 }, (_, index) => srv("web.test", `t${index}.test`, 80));
    servers.zone.set("SRV web.test", { answers });
    for (let index = 0; index < 200; index += 1) {
      servers.zone.set(`A t${index}.test`, "silent");
      servers.zone.set(`AAAA t${index}.test`, "silent");
    }
    expect(await lookup().srv("web.test")).toMatchObject({ kind: "other" });
    expect(servers.asked.length).toBeLessThan(40);
  });
});

describe("looking up addresses", () => {
  it("takes both families", async () => {
    servers.zone.set("A web.test", {
      answers: [at("A", "web.test", "10.0.0.2"), at("A", "web.test", "10.0.0.1")],
    });
    servers.zone.set("AAAA web.test", { answers: [at("AAAA", "web.test", "fd00::1", 3)] });
    expect(await lookup().addresses("Web.test.", 80)).toMatchObject({
      kind: "found",
      ttlMs: 3_000,
      instances: [{ target: "web.test", port: 80, addresses: ["10.0.0.1", "10.0.0.2", "fd00::1"] }],
    });
  });

  it("loses no family because it could not be asked for", async () => {
    const looking = lookup();
    servers.zone.set("A web.test", { answers: [at("A", "web.test", "10.0.0.1")] });
    servers.zone.set("AAAA web.test", { answers: [at("AAAA", "web.test", "fd00::1")] });
    await looking.addresses("web.test", 80);
    servers.zone.set("AAAA web.test", { rcode: "SERVFAIL" });
    expect(await looking.addresses("web.test", 80)).toMatchObject({
      instances: [{ addresses: ["10.0.0.1", "fd00::1"] }],
    });
    servers.zone.set("AAAA web.test", {});
    expect(await looking.addresses("web.test", 80)).toMatchObject({
      instances: [{ addresses: ["10.0.0.1"] }],
    });
  });

  it.each([
    [{ rcode: "NXDOMAIN" }, { rcode: "NXDOMAIN" }, "nx"],
    [{ rcode: "NXDOMAIN" }, "silent", "timeout"],
    [{ rcode: "REFUSED" }, { rcode: "NXDOMAIN" }, "refused"],
  ] as const)("A %j and AAAA %j are %s", async (v4, v6, kind) => {
    servers.zone.set("A web.test", v4);
    servers.zone.set("AAAA web.test", v6);
    expect((await lookup().addresses("web.test", 80)).kind).toBe(kind);
  });
});
