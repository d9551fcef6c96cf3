import { decode } from "dns-packet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Browser, type LinkInstance } from "../../../../src/control/sources/dns-sd/browser.js";
import { mapLinkInstances } from "../../../../src/control/sources/dns-sd/mapping.js";
import type { HeardRecord } from "../../../../src/control/sources/dns-sd/messages.js";
import { ManualClock } from "../../../support/manual-clock.js";

const service = "_http._tcp.local";
const sender = { address: "192.0.2.1", link: "eth0" };

let clock = new ManualClock();
let startMs = 0;
/** `12.3 PTR _http._tcp.local`: seconds since the start, type and name. */
let asked: string[] = [];
let known: string[] = [];
let browser: Browser;

beforeEach(() => {
  clock = new ManualClock();
  startMs = clock.nowMs();
  asked = [];
  known = [];
  browser = new Browser({
    service,
    clock,
    random: () => 0,
    send: (bytes) => {
      const { questions = [], answers = [] } = decode(bytes);
      const seconds = ((clock.nowMs() - startMs) / 1_000).toFixed(1);
      asked.push(...questions.map(({ type, name }) => `${seconds} ${type} ${name}`));
      known = answers.map((answer) => (answer.type === "PTR" ? answer.data : ""));
    },
    onChange: () => undefined,
  });
});

afterEach(() => {
  browser.stop();
  expect(clock.pendingTimers()).toBe(0);
});

function records(label: string, ttlSeconds = 100, port = 80): HeardRecord[] {
  const name = `${label}.${service}`;
  const target = `${label}.local`;
  return [
    { type: "PTR", name: service, ttlSeconds, isFlush: false, target: name },
    { type: "SRV", name, ttlSeconds, isFlush: true, priority: 0, weight: 0, port, target },
    { type: "TXT", name, ttlSeconds, isFlush: true, entries: [["k", "v"]] },
    { type: "A", name: target, ttlSeconds, isFlush: true, address: "192.0.2.7" },
  ];
}

const labels = () => browser.instances().map(({ label }) => label);

async function heard(...all: HeardRecord[]): Promise<void> {
  browser.take(all, sender);
  await clock.advance(50);
}

describe("browsing", () => {
  it("asks at once, after 1 and 3 s, then at twice the interval up to an hour", async () => {
    browser.hear();
    await clock.advance(4 * 3_600_000);
    const times = asked.map((line) => Number(line.split(" ")[0]));
    expect(times.slice(0, 6)).toEqual([0, 1, 3, 7, 15, 31]);
    const last = times.slice(-2);
    expect((last[1] ?? 0) - (last[0] ?? 0)).toBe(3_600);
    expect(new Set(asked.map((line) => line.split(" ").slice(1).join(" ")))).toEqual(
      new Set([`PTR ${service}`]),
    );
  });

  it("knows an instance once all of it was heard, in any case", async () => {
    browser.hear();
    const [pointer, ...rest] = records("Web");
    await heard(...rest);
    expect(browser.records).toBe(0);
    if (pointer === undefined) throw new Error("no pointer");
    await heard({ ...pointer, name: service.toUpperCase() }, ...rest);
    expect(browser.instances()).toEqual([
      {
        ...{ name: `Web.${service}`, label: "Web", host: "Web.local", port: 80, priority: 0, weight: 0 },
        ...{ addresses: ["192.0.2.7"], entries: [["k", "v"]] },
      },
    ]);
  });

  it("keeps nothing that belongs to others", async () => {
    browser.hear();
    await heard(
      { type: "PTR", name: "_ipp._tcp.local", ttlSeconds: 9, isFlush: false, target: "x._ipp._tcp.local" },
      { type: "PTR", name: service, ttlSeconds: 9, isFlush: false, target: "x._ipp._tcp.local" },
      { type: "PTR", name: service, ttlSeconds: 9, isFlush: false, target: `${"x".repeat(64)}.${service}` },
      { type: "A", name: "other.local", ttlSeconds: 9, isFlush: false, address: "192.0.2.1" },
      ...records("web").slice(1),
    );
    expect(browser.records).toBe(0);
  });

  it("takes so many instances and no more", async () => {
    browser.hear();
    for (let at = 0; at < 1_200; at += 1) {
      browser.take(records(`i${at}`).slice(0, 1), { ...sender, address: `192.0.2.${at % 9}` });
    }
    expect(browser.records).toBe(1_000);
    await clock.advance(1_000);
  });

  it("asks for what is missing in a moment, then ever less often", async () => {
    browser.hear();
    await clock.advance(4_000);
    asked = [];
    const [pointer, service_, text] = records("web", 1_000);
    if (pointer === undefined || service_ === undefined || text === undefined) throw new Error("no records");
    await heard(pointer);
    await clock.advance(1_200);
    expect(asked).toEqual([
      `4.2 SRV web.${service}`,
      `4.2 TXT web.${service}`,
      `5.2 SRV web.${service}`,
      `5.2 TXT web.${service}`,
    ]);
    asked = [];
    await heard(service_, text);
    await clock.advance(1_000);
    expect(asked.map((line) => line.split(" ").slice(1).join(" "))).toEqual([
      "A web.local",
      "AAAA web.local",
    ]);
  });

  it("asks for each record before it expires and forgets who does not answer", async () => {
    browser.hear();
    await heard(...records("web", 100), ...records("other", 1_000));
    asked = [];
    await clock.advance(99_900);
    const own = asked.filter((line) => line.includes("SRV web"));
    expect(own.map((line) => line.split(" ")[0])).toEqual(["80.0", "85.0", "90.0", "95.0"]);
    expect(labels()).toEqual(["other", "web"]);
    await clock.advance(200);
    expect(labels()).toEqual(["other"]);
  });

  it("tells what it knows, as long as that has half its time left", async () => {
    browser.hear();
    await heard(...records("web", 100), ...records("other", 10_000));
    await clock.advance(31_000);
    expect(known.sort()).toEqual([`other.${service}`, `web.${service}`]);
    await clock.advance(33_000);
    expect(known).toEqual([`other.${service}`]);
  });

  it("removes an instance a second after its goodbye, the last one too", async () => {
    browser.hear();
    await clock.advance(20_000);
    await heard(...records("web"));
    await heard(...records("web", 0));
    expect(labels()).toEqual(["web"]);
    await clock.advance(1_000);
    expect(labels()).toEqual([]);
    expect(browser.isSilent).toBe(false);
  });

  it("keeps the last instances when all fall silent, asks, and lets go of who stays away", async () => {
    browser.hear();
    await heard(...records("web", 100), ...records("other", 100));
    await clock.advance(3_600_000);
    expect(labels()).toEqual(["other", "web"]);
    expect(browser.isSilent).toBe(true);
    asked = [];
    await clock.advance(60_000);
    expect(asked).toHaveLength(6);
    await heard(...records("web", 100));
    expect(browser.isSilent).toBe(false);
    await clock.advance(9_900);
    expect(labels()).toEqual(["other", "web"]);
    await clock.advance(200);
    expect(labels()).toEqual(["web"]);
  });

  it("lets nothing expire while nothing can be heard, nor in the first moments after", async () => {
    browser.hear();
    await heard(...records("web", 100), ...records("other", 10_000));
    browser.goDeaf();
    await clock.advance(1_000_000);
    asked = [];
    browser.hear();
    await clock.advance(9_900);
    expect(labels()).toEqual(["other", "web"]);
    expect(asked[0]).toContain(`PTR ${service}`);
    await clock.advance(200);
    expect(labels()).toEqual(["other"]);
  });

  it("takes a new port at once and drops the old address for a new one", async () => {
    browser.hear();
    await heard(...records("web", 100, 80));
    await clock.advance(5_000);
    await heard(
      ...records("web", 100, 81).map((record) =>
        record.type === "A" ? { ...record, address: "192.0.2.8" } : record,
      ),
    );
    expect(browser.instances()).toMatchObject([{ port: 81, addresses: ["192.0.2.8"] }]);
  });
});

describe("mapping instances of the link", () => {
  const base: LinkInstance = {
    ...{ name: `Web 1.${service}`, label: "Web 1", host: "a.local", port: 80, priority: 0, weight: 0 },
    ...{ addresses: ["192.0.2.1", "fd00::1"], entries: [["zone", "z1"]] },
  };

  it("makes the instance the identity and its text the meta", () => {
    expect(mapLinkInstances([base], "one", [])).toEqual([
      {
        ...{ key: `dns-sd/web 1.${service}`, id: "Web 1", host: "192.0.2.1", port: 80, weight: 1 },
        ...{ status: "passing", admitted: true, reason: "", tags: [], meta: { zone: "z1" } },
        ...{ node: "a.local", datacenter: undefined, zone: "z1", priority: 0 },
      },
    ]);
  });

  it("takes all addresses, or the one it took before", () => {
    const all = mapLinkInstances([base], "all", []);
    expect(all.map(({ host }) => host)).toEqual(["192.0.2.1", "fd00::1"]);
    expect(mapLinkInstances([base], "one", all.slice(1)).map(({ host }) => host)).toEqual(["fd00::1"]);
  });

  it("makes backups of higher priority numbers, and lets no control characters through", () => {
    const evil = { ...base, name: `a\u001b[2J/@.${service}`, label: "a\u001b[2J/@", priority: 1 };
    expect(mapLinkInstances([base, evil], "one", [])).toMatchObject([
      { id: "a [2J/@", key: `dns-sd/a [2j%2F%40.${service}`, priority: 1 },
      { id: "Web 1", priority: 0 },
    ]);
  });
});
