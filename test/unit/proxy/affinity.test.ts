import { describe, expect, it } from "vitest";
import type { AffinityConfig } from "../../../src/config/affinity-model.js";
import { formatCookieDate } from "../../../src/core/cookie-dates.js";
import type { Pool } from "../../../src/core/pool.js";
import { AccessRecord } from "../../../src/proxy/access-record.js";
import { Affinity, type OpenWish } from "../../../src/proxy/affinity.js";
import type { ClientFacts } from "../../../src/proxy/message.js";
import { cookieConfig } from "../../support/cookie-config.js";
import { requestHead, responseHead } from "../../support/heads.js";
import { ManualClock } from "../../support/manual-clock.js";
import { apply, backendNamed, endpoint, newPool, terms } from "../../support/pool-fixture.js";

const CLIENT: ClientFacts = {
  remoteAddress: "192.0.2.7",
  isTrusted: false,
  scheme: "http",
  localAuthority: "127.0.0.1:80",
};

const COOKIE = cookieConfig();

interface Scene {
  readonly pool: Pool;
  readonly affinity: Affinity;
  readonly clock: ManualClock;
}

function aScene(config: AffinityConfig): Scene {
  const pool = newPool();
  const clock = new ManualClock();
  apply(pool, [endpoint("a", { meta: { cookie: "one" } }), endpoint("b", { host: "10.0.0.2" })]);
  return { pool, clock, affinity: new Affinity({ algorithm: "roundrobin" }, config, pool, clock) };
}

interface Passed {
  readonly bound: string | undefined;
  readonly state: string;
  /** The request's and the answer's cookie lines and Cache-Control. */
  readonly sent: readonly string[];
  readonly got: readonly string[];
}

function linesOf(text: string): string[] {
  return text
    .split("\r\n")
    .filter((line) => /^(?:set-cookie|cookie|cache-control):/i.test(line))
    .map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()));
}

/** Sends a request with these cookies, which `server` answers with these fields. */
function pass({ pool, affinity }: Scene, cookie: string, server: string, answer = ""): Passed {
  const head = requestHead(
    `GET / HTTP/1.1\r\nHost: x\r\n${cookie === "" ? "" : `Cookie: ${cookie}\r\n`}\r\n`,
  );
  const wish: OpenWish = { avoid: [], hash: undefined, bound: undefined };
  const record = new AccessRecord("http", "front");
  const stick = affinity.begin(wish, head, CLIENT, record);
  const sent = linesOf((stick?.fieldsOf(head) ?? head.fields).serialize(0, []));
  const reply = responseHead(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${answer}\r\n`);
  const got = linesOf((stick?.answered(reply, backendNamed(pool, server)) ?? reply).fields.serialize(0, []));
  return { bound: wish.bound?.endpoint.id, state: record.cookieState, sent, got };
}

describe("affinity by an inserted cookie", () => {
  it("gives the cookie to who has none", () => {
    expect(pass(aScene(COOKIE), "other=1", "a")).toEqual({
      bound: undefined,
      state: "NI",
      sent: ["cookie: other=1"],
      got: ["set-cookie: SRV=a; path=/"],
    });
  });

  it("binds who has it, takes it out of the request and gives it not again", () => {
    expect(pass(aScene(COOKIE), "x=1; SRV=b; y=2", "b")).toEqual({
      bound: "b",
      state: "VN",
      sent: ["cookie: x=1; y=2"],
      got: [],
    });
    expect(pass(aScene(COOKIE), "SRV=b", "b").sent).toEqual([]);
  });

  it("shows it to the application where it is not indirect", () => {
    expect(pass(aScene({ ...COOKIE, indirect: false }), "SRV=b", "b").sent).toEqual(["cookie: SRV=b"]);
  });

  it("gives another cookie when another backend answered", () => {
    expect(pass(aScene(COOKIE), "SRV=b", "a")).toMatchObject({
      state: "VI",
      got: ["set-cookie: SRV=a; path=/"],
    });
    expect(pass(aScene(COOKIE), "SRV=zz", "a")).toMatchObject({ bound: undefined, state: "II" });
  });

  it.each<[string, string | undefined, string, (pool: Pool) => void]>([
    ["drained", "a", "V", (pool) => pool.setAdmin(backendNamed(pool, "a"), "drain", terms(), 0)],
    ["in maintenance", undefined, "D", (pool) => pool.setAdmin(backendNamed(pool, "a"), "maint", terms(), 0)],
    ["down", undefined, "D", (pool) => pool.setCheck(backendNamed(pool, "a"), "down", "refused", 0)],
  ])("with a backend that is %s binds to %s (%s)", (_state, bound, letter, change) => {
    const scene = aScene(COOKIE);
    change(scene.pool);
    const passed = pass(scene, "SRV=a", "b");
    expect([passed.bound, passed.state[0]]).toEqual([bound, letter]);
  });

  it("knows nobody who left, once it is told", () => {
    const scene = aScene(COOKIE);
    expect(pass(scene, "SRV=a", "a").state).toBe("VN");
    apply(scene.pool, [endpoint("b", { host: "10.0.0.2" })]);
    scene.affinity.membershipChanged();
    expect(pass(scene, "SRV=a", "b")).toMatchObject({ bound: undefined, state: "II" });
  });

  it("replaces the application's own cookie of that name, or leaves it with preserve", () => {
    const own = "Set-Cookie: SRV=mine\r\nSet-Cookie: sid=7\r\n";
    expect(pass(aScene(COOKIE), "", "a", own).got).toEqual([
      "set-cookie: sid=7",
      "set-cookie: SRV=a; path=/",
    ]);
    expect(pass(aScene(COOKIE), "SRV=a", "a", own)).toMatchObject({
      state: "VD",
      got: ["set-cookie: sid=7"],
    });
    expect(pass(aScene({ ...COOKIE, preserve: true }), "", "a", own)).toMatchObject({
      state: "NP",
      got: ["set-cookie: SRV=mine", "set-cookie: sid=7"],
    });
  });

  it("writes the attributes in HAProxy's order", () => {
    const config = { ...COOKIE, domain: ".x.test", httpOnly: true, secure: true, attr: ["SameSite=None"] };
    expect(pass(aScene(config), "", "a").got).toEqual([
      "set-cookie: SRV=a; path=/; domain=.x.test; HttpOnly; Secure; SameSite=None",
    ]);
  });

  it.each([
    ["", 0],
    ["ETag: x\r\n", 1],
    ["Last-Modified: x\r\n", 1],
    ["Cache-Control: max-age=5\r\n", 1],
    ["Cache-Control: max-age=5, private\r\n", 0],
    ["Cache-Control: public, max-age=0\r\nETag: x\r\n", 0],
    ["Cache-Control: no-store\r\nETag: x\r\n", 0],
  ])("marks an answer with %j as private %i times", (fields, times) => {
    const { got } = pass(aScene(COOKIE), "", "a", fields);
    expect(got.filter((line) => line === "cache-control: private")).toHaveLength(times);
    expect(pass(aScene(COOKIE), "SRV=a", "a", fields).got.includes("cache-control: private")).toBe(false);
  });

  it("expires the cookie when a backend without a value answered", () => {
    const config = { ...COOKIE, value: "meta" } as const;
    expect(pass(aScene(config), "SRV=one", "a")).toMatchObject({ bound: "a", state: "VN", got: [] });
    expect(pass(aScene(config), "SRV=one", "b").got).toEqual([
      "set-cookie: SRV=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/",
    ]);
  });

  it("names a backend by a digest of its address and the secret, the same in every proxy", () => {
    const dynamic = { ...COOKIE, value: "dynamic" } as const;
    const [line = ""] = pass(aScene(dynamic), "", "a").got;
    expect(line).toMatch(/^set-cookie: SRV=[0-9a-f]{16}; path=\/$/);
    const value = line.slice("set-cookie: SRV=".length, -"; path=/".length);
    expect(pass(aScene(dynamic), `SRV=${value}`, "a")).toMatchObject({ bound: "a", state: "VN" });
    expect(pass(aScene({ ...dynamic, secret: "t" }), `SRV=${value}`, "a").state).toBe("II");
  });

  it("dates the cookie, renews the date and forgets what is too old", () => {
    const scene = aScene({ ...COOKIE, maxIdleMs: 60_000, maxLifeMs: 600_000 });
    const at = (ago: number) => formatCookieDate(Math.floor(scene.clock.wallMs() / 1000) - ago);
    expect(pass(scene, "", "a").got).toEqual([`set-cookie: SRV=a|${at(0)}|${at(0)}; path=/`]);
    expect(pass(scene, `SRV=a|${at(20)}|${at(40)}`, "a")).toMatchObject({
      bound: "a",
      state: "VU",
      got: [`set-cookie: SRV=a|${at(0)}|${at(40)}; path=/`],
    });
    expect(pass(scene, `SRV=a|${at(80)}|${at(100)}`, "b")).toMatchObject({ bound: undefined, state: "EI" });
    expect(pass(scene, `SRV=a|${at(20)}|${at(640)}`, "b")).toMatchObject({ bound: undefined, state: "OI" });
  });
});

describe("what becomes of clients", () => {
  function countsOf({ pool }: Scene): number[] {
    return (["sessionsNew", "sessionsKept", "sessionsMoved"] as const).map((name) => pool.total(name));
  }

  it("is counted of those with a cookie: new, kept, and moved where they are known", () => {
    const scene = aScene(COOKIE);
    pass(scene, "", "a");
    expect(countsOf(scene)).toEqual([1, 0, 0]);
    expect(backendNamed(scene.pool, "a").lastKeptMs).toBeUndefined();
    pass(scene, "SRV=a", "a");
    expect(countsOf(scene)).toEqual([1, 1, 0]);
    expect(backendNamed(scene.pool, "a").lastKeptMs).toBe(scene.clock.nowMs());
    pass(scene, "SRV=a", "b");
    scene.pool.setAdmin(backendNamed(scene.pool, "a"), "maint", terms(), 0);
    pass(scene, "SRV=a", "b");
    expect(countsOf(scene)).toEqual([1, 1, 2]);
    pass(scene, "SRV=unheard-of", "b");
    expect(countsOf(scene)).toEqual([2, 1, 2]);
  });

  it("is not counted where no session begins", () => {
    const prefixed = aScene({ ...COOKIE, mode: "prefix" });
    pass(prefixed, "", "a");
    const unnamed = aScene({ ...COOKIE, value: "meta", meta: "cookie" });
    pass(unnamed, "", "b");
    expect([countsOf(prefixed), countsOf(unnamed)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  it("is counted of those in a table", () => {
    const scene = aScene({ type: "table", on: "cookie", name: "sid", size: 10, expireMs: 1_000 });
    pass(scene, "sid=1", "b");
    pass(scene, "sid=1", "b");
    pass(scene, "sid=1", "a");
    expect(countsOf(scene)).toEqual([1, 1, 1]);
  });
});

describe("affinity by the application's cookie", () => {
  it("puts the backend in its place", () => {
    const scene = aScene({ ...COOKIE, mode: "rewrite" });
    expect(pass(scene, "", "a", "Set-Cookie: SRV=x; Path=/app\r\n")).toMatchObject({
      state: "NR",
      got: ["set-cookie: SRV=a; Path=/app"],
    });
    expect(pass(scene, "SRV=a", "a")).toMatchObject({ bound: "a", sent: ["cookie: SRV=a"], got: [] });
  });

  it("puts the backend before its value and takes it away again", () => {
    const scene = aScene({ ...COOKIE, mode: "prefix" });
    expect(pass(scene, "", "a", "Set-Cookie: SRV=x; Path=/app\r\n").got).toEqual([
      "set-cookie: SRV=a~x; Path=/app",
    ]);
    expect(pass(scene, "t=1; SRV=a~x~y", "a")).toMatchObject({
      bound: "a",
      state: "VN",
      sent: ["cookie: t=1; SRV=x~y"],
    });
  });

  it.each<[cookie: string, bound: string | undefined, state: string, sent: string]>([
    ["SRV=x", undefined, "IR", "cookie: SRV=x"],
    ["SRV=a", "a", "VR", "cookie: SRV=a"],
    ["SRV=a|b", undefined, "IR", "cookie: SRV=a|b"],
    ["SRV=~a", undefined, "IR", "cookie: SRV=a"],
    ["SRV=z~a", undefined, "IR", "cookie: SRV=a"],
  ])(
    "reads %s as HAProxy does in prefix mode, and puts the backend before the next",
    (cookie, bound, state, sent) => {
      const scene = aScene({ ...COOKIE, mode: "prefix" });
      expect(pass(scene, cookie, "b", "Set-Cookie: SRV=y; Path=/\r\n")).toMatchObject({
        bound,
        state,
        sent: [sent],
        got: ["set-cookie: SRV=b~y; Path=/"],
      });
    },
  );
});

describe("affinity by a table", () => {
  const TABLE: AffinityConfig = { type: "table", on: "cookie", name: "sid", size: 10, expireMs: 1_000 };

  it("sticks to who served first, and moves only when that one takes no more", () => {
    const scene = aScene(TABLE);
    expect(pass(scene, "sid=1", "b").bound).toBeUndefined();
    expect(pass(scene, "sid=1", "b")).toMatchObject({ bound: "b", sent: ["cookie: sid=1"], got: [] });
    scene.pool.setCheck(backendNamed(scene.pool, "b"), "down", "refused", 0);
    expect(pass(scene, "sid=1", "a").bound).toBeUndefined();
    expect(pass(scene, "sid=1", "a").bound).toBe("a");
    expect(pass(scene, "", "a").bound).toBeUndefined();
  });

  it("is kept through another configuration of the same key", () => {
    const scene = aScene(TABLE);
    pass(scene, "sid=1", "b");
    const balance = { algorithm: "roundrobin" } as const;
    const bigger = new Affinity(balance, { ...TABLE, size: 20 }, scene.pool, scene.clock, scene.affinity);
    expect(pass({ ...scene, affinity: bigger }, "sid=1", "b").bound).toBe("b");
    const other = new Affinity(balance, { ...TABLE, name: "x" }, scene.pool, scene.clock, bigger);
    expect(pass({ ...scene, affinity: other }, "x=1", "b").bound).toBeUndefined();
  });

  it("remembers who took a connection of an address", () => {
    const scene = aScene({ type: "table", on: "source", name: "", size: 10, expireMs: 1_000 });
    const wish: OpenWish = { avoid: [], hash: undefined, bound: undefined };
    scene.affinity.beginTunnel(wish, "192.0.2.7")?.servedBy(backendNamed(scene.pool, "b"));
    scene.affinity.beginTunnel(wish, "192.0.2.7");
    expect(wish.bound?.endpoint.id).toBe("b");
  });
});
