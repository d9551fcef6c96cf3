import { describe, expect, it } from "vitest";
import { createResolver, type DnsFunctions, systemDns } from "../../../src/control/resolver.js";
import { systemClock } from "../../../src/platform/clock.js";
import { ManualClock, settled } from "../../support/manual-clock.js";

/** Name servers whose answers the test sets. */
class FakeDns implements DnsFunctions {
  readonly answers = new Map<string, readonly string[] | Error | Promise<readonly string[]>>();
  readonly ttls = new Map<string, number>();
  readonly asked: string[] = [];
  inFlight = 0;
  inFlightMax = 0;

  async lookup(name: string): Promise<readonly string[]> {
    this.asked.push(name);
    this.inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    try {
      const answer = await (this.answers.get(name) ?? Object.assign(new Error("no"), { code: "ENOTFOUND" }));
      if (answer instanceof Error) throw answer;
      return answer;
    } finally {
      this.inFlight -= 1;
    }
  }

  async ttlSeconds(name: string): Promise<number | undefined> {
    return this.ttls.get(name);
  }
}

function setUp() {
  const clock = new ManualClock();
  const dns = new FakeDns();
  const resolver = createResolver({ clock, random: () => 1, dns });
  let changes = 0;
  const follow = (name: string) => resolver.follow(name, () => (changes += 1));
  return { clock, dns, resolver, follow, changes: () => changes };
}

describe("literals", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["[::1]", "::1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
  ])("passes %s at once and asks nobody", async (given, address) => {
    const { dns, clock, follow } = setUp();
    const handle = follow(given);
    expect(handle.addresses()).toEqual([address]);
    expect(handle.isPending()).toBe(false);
    handle.close();
    await clock.advance(1_000_000);
    expect(dns.asked).toEqual([]);
  });
});

describe("names", () => {
  it("are pending until the first answer, which is told", async () => {
    const { dns, follow, changes } = setUp();
    dns.answers.set("web", ["10.0.0.2", "10.0.0.1", "::2"]);
    const handle = follow("web");
    expect(handle.isPending()).toBe(true);
    expect(changes()).toBe(0);
    await settled();
    expect(handle.isPending()).toBe(false);
    expect(handle.addresses()).toEqual(["10.0.0.2", "10.0.0.1", "::2"]);
    expect(changes()).toBe(1);
  });

  it.each([
    ["0 seconds: the floor", 0, 1_000],
    ["one second", 1, 1_000],
    ["a minute", 60, 60_000],
    ["a day: the ceiling", 86_400, 300_000],
    ["nothing: the default", undefined, 30_000],
  ])("are asked again when their time to live has passed: %s", async (_name, ttl, delayMs) => {
    const { dns, clock, follow } = setUp();
    dns.answers.set("web", ["10.0.0.1"]);
    if (ttl !== undefined) dns.ttls.set("web", ttl);
    follow("web");
    await clock.advance(delayMs - 1);
    expect(dns.asked.length).toBe(1);
    await clock.advance(1);
    expect(dns.asked.length).toBe(2);
  });

  it("tell a change and not a mere change of order", async () => {
    const { dns, clock, follow, changes } = setUp();
    dns.answers.set("web", ["10.0.0.1", "10.0.0.2"]);
    const handle = follow("web");
    await clock.advance(0);
    dns.answers.set("web", ["10.0.0.2", "10.0.0.1"]);
    await clock.advance(30_000);
    expect(changes()).toBe(1);
    dns.answers.set("web", ["10.0.0.3"]);
    await clock.advance(30_000);
    expect(changes()).toBe(2);
    expect(handle.addresses()).toEqual(["10.0.0.3"]);
  });

  it("keep the last good answer through failures and empty answers", async () => {
    const { dns, clock, follow } = setUp();
    dns.answers.set("web", ["10.0.0.1"]);
    const handle = follow("web");
    await clock.advance(0);
    dns.answers.delete("web");
    await clock.advance(30_000);
    expect(handle.addresses()).toEqual(["10.0.0.1"]);
    expect(handle.failure()).toBe("ENOTFOUND");
    dns.answers.set("web", []);
    await clock.advance(1_000);
    expect(handle.addresses()).toEqual(["10.0.0.1"]);
    expect(handle.failure()).toBe("the answer holds no address");
    dns.answers.set("web", ["10.0.0.1"]);
    await clock.advance(2_000);
    expect(handle.failure()).toBeUndefined();
  });

  it("are tried again after 1 s doubling to 30 s while they fail", async () => {
    const { dns, clock, follow } = setUp();
    const times: number[] = [];
    const lookup = dns.lookup.bind(dns);
    dns.lookup = (name) => {
      times.push(clock.nowMs());
      return lookup(name);
    };
    follow("nowhere");
    await clock.advance(200_000);
    const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    expect(gaps.slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("fail after 10 s without an answer, and take it when it comes after all", async () => {
    const { dns, clock, follow } = setUp();
    let arrive = (_addresses: readonly string[]) => {};
    dns.answers.set("slow", new Promise((resolve) => (arrive = resolve)));
    const handle = follow("slow");
    await clock.advance(9_999);
    expect(handle.isPending()).toBe(true);
    await clock.advance(1);
    expect(handle.failure()).toBe("no answer within 10 s");
    arrive(["10.0.0.1"]);
    await clock.advance(0);
    expect(handle.addresses()).toEqual(["10.0.0.1"]);
    expect(handle.failure()).toBeUndefined();
  });

  it("are asked once for many followers, two at a time", async () => {
    const { dns, clock, follow, changes } = setUp();
    for (let n = 0; n < 20; n += 1) dns.answers.set(`n${n}`, ["10.0.0.1"]);
    for (let n = 0; n < 40; n += 1) follow(`N${n % 20}`);
    await clock.advance(0);
    expect(dns.asked.length).toBe(20);
    expect(dns.inFlightMax).toBe(2);
    expect(changes()).toBe(40);
  });

  it("are forgotten when nobody follows them", async () => {
    const { dns, clock, follow, changes } = setUp();
    dns.answers.set("web", ["10.0.0.1"]);
    const first = follow("web");
    const second = follow("web");
    await clock.advance(0);
    first.close();
    first.close();
    await clock.advance(30_000);
    expect(dns.asked.length).toBe(2);
    second.close();
    await clock.advance(1_000_000);
    expect(dns.asked.length).toBe(2);
    expect(clock.pendingTimers()).toBe(0);
    expect(changes()).toBe(2);
  });

  it("leave no timer behind when they are given up during a lookup", async () => {
    const { dns, clock, follow, changes } = setUp();
    dns.answers.set("web", ["10.0.0.1"]);
    follow("web").close();
    await clock.advance(0);
    expect(clock.pendingTimers()).toBe(0);
    expect(changes()).toBe(0);
  });
});

it("finds localhost through the system, as /etc/hosts says", async () => {
  const resolver = createResolver({ clock: systemClock, random: Math.random });
  const handle = await new Promise<ReturnType<typeof resolver.follow>>((resolve) => {
    const followed = resolver.follow("localhost", () => resolve(followed));
  });
  expect(handle.failure()).toBeUndefined();
  expect(handle.addresses()?.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
  handle.close();
});

it("knows no time to live for a name without records", async () => {
  expect(await systemDns.ttlSeconds("localhost.invalid.")).toBeUndefined();
});
