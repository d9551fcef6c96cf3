import { describe, expect, it } from "vitest";
import type { ConsulAnswer } from "../../../../src/control/sources/consul/answer.js";
import { cut, list, liveWatch, refusal, WatchHarness } from "./watch-harness.js";

const reset: ConsulAnswer = { kind: "network", message: "read ECONNRESET" };

describe("index and blocking", () => {
  it("asks first without an index, then blocks on the one it was given", async () => {
    const h = new WatchHarness({ waitMs: 60_000 });
    h.watch.start();
    expect(h.last().request.query).toEqual({ stale: "1" });
    expect(h.last().request.timeoutMs).toBe(5_000);
    await h.answerAndAwaitNext(list(["a"], 7n));
    expect(h.last().request.query).toEqual({ stale: "1", index: "7", wait: "60000ms" });
    expect(h.last().request.timeoutMs).toBe(60_000 * (17 / 16) + 5_000);
  });

  it("keeps all 64 bits of an index", async () => {
    const h = new WatchHarness();
    h.watch.start();
    await h.answerAndAwaitNext(list(["a"], "18446744073709551615"));
    expect(h.last().request.query.index).toBe("18446744073709551615");
    await h.answerAndAwaitNext(list(["b"], "18446744073709551614"));
    expect(h.last().request.query.index).toBeUndefined();
  });

  it("never blocks on zero", async () => {
    const h = new WatchHarness();
    h.watch.start();
    await h.answerAndAwaitNext(list(["a"], 0n));
    expect(h.last().request.query.index).toBe("1");
  });

  it("takes an answer whose index went backwards and starts from zero", async () => {
    const h = await liveWatch(["a"]);
    await h.answerAndAwaitNext(list(["b"], 9n));
    expect(h.values).toEqual([["a"], ["b"]]);
    expect(h.last().request.query.index).toBeUndefined();
    await h.answerAndAwaitNext(list(["b"], 9n));
    expect(h.last().request.query.index).toBe("9");
  });

  it.each<[string, ConsulAnswer]>([
    ["a reset", reset],
    ["a body cut short", cut],
    ["a timeout", { kind: "timeout", message: "no complete answer" }],
    ["HTML", { kind: "not-json", message: "answer 200 is not JSON" }],
    ["500", refusal(500, "rpc error")],
    ["429", refusal(429)],
    ["503", refusal(503)],
    ["403", refusal(403, "Permission denied")],
    ["404", refusal(404)],
    ["400", refusal(400, "bad")],
    ["a missing index", { kind: "ok", status: 200, headers: {}, body: ["x"] }],
    ["an index that is no number", list(["x"], "abc")],
    ["a negative index", list(["x"], "-1")],
    ["an index beyond 64 bits", list(["x"], "18446744073709551616")],
    ["null", { kind: "ok", status: 200, headers: { "x-consul-index": "11" }, body: null }],
    ["an object", { kind: "ok", status: 200, headers: { "x-consul-index": "11" }, body: {} }],
  ])("keeps the list and forgets the index after %s", async (_name, failure) => {
    const h = await liveWatch(["a"]);
    await h.answerAndAwaitNext(failure);
    expect(h.values).toEqual([["a"]]);
    expect(h.watch.report()).toMatchObject({ state: "stale", consecutiveFailures: 1, failures: 1 });
    expect(h.watch.report().reason).not.toBe("");
    expect(h.last().request.query.index).toBeUndefined();
    // The same index with other content, as after a restart of the agent.
    await h.answer(list(["b"], 10n));
    expect(h.values).toEqual([["a"], ["b"]]);
    expect(h.watch.report()).toMatchObject({ state: "live", reason: "", consecutiveFailures: 0 });
  });

  it("forgets the index when its connection closed between two queries: the agent may have restarted", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(list(["b"], 15n));
    h.closings += 1;
    await h.clock.advance(100);
    expect(h.last().request.query.index).toBeUndefined();
    await h.answerAndAwaitNext(list([], 13n));
    expect(h.watch.report()).toMatchObject({ state: "suspect", failures: 0 });
    expect(h.watch.report().reason).toContain("the connection was closed");
    expect(h.last().request.query.index).toBe("13");
    await h.answer(list(["c"], 14n));
    expect(h.values).toEqual([["a"], ["b"], ["c"]]);
  });

  it("keeps the index where each answer says that its connection will close", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(list(["b"], 15n, { connection: "Close" }));
    h.closings += 1;
    await h.clock.advance(100);
    expect(h.last().request.query.index).toBe("15");
  });

  it("stays starting while no answer ever came", async () => {
    const h = new WatchHarness();
    h.watch.start();
    await h.answer(reset);
    expect(h.watch.report()).toMatchObject({ state: "starting", reason: "read ECONNRESET" });
    expect(h.watch.report().lastSuccessMs).toBeUndefined();
  });

  it("has one request in flight at most, and none after stop", async () => {
    const h = await liveWatch(["a"]);
    for (const answer of [list(["b"], 11n), reset, list(["c"], 12n), cut, list(["c"], 13n)]) {
      await h.answerAndAwaitNext(answer);
    }
    expect(h.inFlightMax).toBe(1);
    const sent = h.sent.length;
    h.watch.stop();
    expect(h.aborts).toBe(1);
    await h.answer(list(["late"], 14n));
    await h.clock.advance(600_000);
    expect(h.sent.length).toBe(sent);
    expect(h.values.at(-1)).toEqual(["c"]);
    expect(h.clock.pendingTimers()).toBe(0);
  });

  it("cancels its timer when stopped between two requests", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(reset);
    expect(h.clock.pendingTimers()).toBe(1);
    h.watch.stop();
    expect(h.clock.pendingTimers()).toBe(0);
  });
});

describe("changes and pace", () => {
  it("passes the first list on even when it is empty", async () => {
    const h = new WatchHarness();
    h.watch.start();
    await h.answer(list([], 3n));
    expect(h.values).toEqual([[]]);
    expect(h.watch.report().state).toBe("live");
  });

  it("decides by content: a moved index with the same list is no change", async () => {
    const h = await liveWatch(["a"]);
    const changedMs = h.watch.report().lastChangeMs;
    await h.clock.advance(50);
    await h.answer(list(["a"], 11n));
    expect(h.values).toEqual([["a"]]);
    expect(h.watch.report().lastChangeMs).toBe(changedMs);
    expect(h.watch.report().lastSuccessMs).toBe(h.clock.nowMs());
  });

  it("takes a change at once and the later ones of the window together, the last one winning", async () => {
    const h = await liveWatch(["a"], { coalesceMs: 100 });
    await h.clock.advance(10_000);
    await h.answer(list(["b"], 11n));
    expect(h.values.at(-1)).toEqual(["b"]);
    const sent = h.sent.length;
    await h.clock.advance(99);
    expect(h.sent.length).toBe(sent);
    await h.clock.advance(1);
    expect(h.sent.length).toBe(sent + 1);
    expect(h.last().request.query.index).toBe("11");
  });

  it("takes a thousand changes a second in ten steps of a window of 100 ms and ends at the last", async () => {
    const h = await liveWatch(["v0"], { coalesceMs: 100 });
    let version = 0;
    const seenBefore = h.sent.length;
    for (let tick = 0; tick < 1_000; tick += 1) {
      version += 1;
      const { request, answer } = h.last();
      // A blocking query is answered at once when the catalog has moved past its index.
      if (BigInt(request.query.index ?? "0") < BigInt(10 + version))
        answer(list([`v${version}`], BigInt(10 + version)));
      await h.clock.advance(1);
    }
    await h.clock.advance(100);
    await h.answer(list([`v${version}`], BigInt(10 + version)));
    expect(h.sent.length - seenBefore).toBeLessThanOrEqual(12);
    expect(h.values.length).toBeLessThanOrEqual(13);
    expect(h.values.at(-1)).toEqual(["v1000"]);
    expect(h.inFlightMax).toBe(1);
  });

  it("lets five answers that change nothing pass, then one per second", async () => {
    const h = await liveWatch(["a"]);
    await h.clock.advance(60_000);
    const delays: number[] = [];
    for (let n = 0; n < 8; n += 1) delays.push(await h.answerAndAwaitNext(list(["a"], BigInt(11 + n))));
    expect(delays.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    for (const delay of delays.slice(5)) expect(delay).toBe(1_000);
  });

  it("is bounded when a server answers at once with the same index", async () => {
    const h = await liveWatch(["a"]);
    const before = h.sent.length;
    for (let ms = 0; ms < 60_000; ms += 5) {
      const pending = h.last();
      pending.answer(list(["a"], 10n));
      await h.clock.advance(5);
    }
    expect(h.sent.length - before).toBeLessThanOrEqual(66);
  });

  it("does not delay a real change because useless answers used the bucket up", async () => {
    const h = await liveWatch(["a"], { coalesceMs: 50 });
    for (let n = 0; n < 7; n += 1) await h.answerAndAwaitNext(list(["a"], BigInt(11 + n)));
    expect(await h.answerAndAwaitNext(list(["b"], 30n))).toBe(50);
    expect(await h.answerAndAwaitNext(list(["c"], 31n))).toBe(50);
  });

  it("costs one request per wait when all is calm", async () => {
    const h = await liveWatch(["a"], { waitMs: 60_000 });
    const before = h.sent.length;
    for (let n = 0; n < 60; n += 1) {
      await h.clock.advance(60_000);
      await h.answer(list(["a"], 10n));
    }
    expect(h.sent.length - before).toBe(60);
    expect(h.clock.pendingTimers()).toBe(0);
  });

  it("delivers a list again that its receiver threw at", async () => {
    let throws = 1;
    const h = new WatchHarness({
      onValue: () => {
        if (throws-- > 0) throw new Error("no room");
      },
    });
    h.watch.start();
    await h.answerAndAwaitNext(list(["a"], 5n));
    expect(h.values).toEqual([]);
    expect(h.watch.report().reason).toBe("the list was not taken: no room");
    await h.answer(list(["a"], 5n));
    expect(h.values).toEqual([["a"]]);
  });
});

describe("failures and retries", () => {
  it("doubles its delay from 200 ms to 5 s and starts anew after a success", async () => {
    const h = await liveWatch(["a"], { random: () => 1 });
    const delays: number[] = [];
    for (let n = 0; n < 8; n += 1) delays.push(await h.answerAndAwaitNext(reset));
    expect(delays).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    await h.answerAndAwaitNext(list(["a"], 10n));
    expect(await h.answerAndAwaitNext(reset)).toBe(200);
  });

  it("spreads delays over the upper half", async () => {
    const h = await liveWatch(["a"], { random: () => 0 });
    expect(await h.answerAndAwaitNext(reset)).toBe(100);
    expect(await h.answerAndAwaitNext(reset)).toBe(200);
  });

  it("waits as long as Retry-After asks, within a minute", async () => {
    const h = await liveWatch(["a"]);
    expect(await h.answerAndAwaitNext(refusal(429, "", 2_000))).toBe(2_000);
    expect(await h.answerAndAwaitNext(refusal(503, "", 86_400_000))).toBe(60_000);
  });

  it.each([
    [400, 'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'],
    [500, 'Failed to create boolean expression evaluator: Selector "Service.Nope" is not valid'],
  ])("retries slowly when Consul cannot read the query (%i)", async (status, text) => {
    const h = await liveWatch(["a"]);
    expect(await h.answerAndAwaitNext(refusal(status, text))).toBe(10_000);
    expect(h.watch.report().reason).toContain("the configuration must change");
    expect(h.watch.report().reason).toContain(text);
    expect(await h.answerAndAwaitNext(refusal(status, text))).toBe(20_000);
  });

  it("retries soon after a 500 that is no parse error", async () => {
    const h = await liveWatch(["a"]);
    expect(await h.answerAndAwaitNext(refusal(500, "No path to datacenter"))).toBe(200);
    expect(h.watch.report().reason).toContain("No path to datacenter");
  });

  it.each<[number, string, string]>([
    [401, "", "credentials are asked for: set consul.token, or consul.auth for a proxy before the agent"],
    [404, "<html>", "not found: something else than Consul answers at this address (Consul says: <html>)"],
    [404, "Query not found", "there is no such prepared query (Consul says: Query not found)"],
    [429, "slow down", "Consul limits the rate of requests (Consul says: slow down)"],
    [500, "No cluster leader", "the servers have no leader (Consul says: No cluster leader)"],
    [502, "", "no server can answer, or a proxy reaches no agent: status 502"],
    [503, "busy", "no server can answer, or a proxy reaches no agent: status 503 (Consul says: busy)"],
    [
      403,
      "Permission denied: token with AccessorID 'x' lacks permission 'service:read' on \"web\"",
      'permission denied: the token lacks service:read on "web" and node:read on its nodes ' +
        "(Consul says: Permission denied: token with AccessorID 'x' lacks permission 'service:read' on \"web\")",
    ],
  ])("says what %i with %j means", async (status, text, reason) => {
    const h = await liveWatch(["a"]);
    await h.answer(refusal(status, text));
    expect(h.watch.report()).toMatchObject({ state: "stale", reason });
    expect(h.values).toEqual([["a"]]);
  });

  it("says which right a token lacks", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(refusal(403, "Permission denied"));
    expect(h.watch.report().reason).toContain('service:read on "web" and node:read');
  });

  it("tells an unknown token from a weak one", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(refusal(403, "ACL not found"));
    expect(h.watch.report().reason).toContain("unknown to Consul");
  });

  it("survives a request function that rejects", async () => {
    const h = await liveWatch(["a"]);
    h.last().answer(Promise.reject(new Error("boom")) as unknown as ConsulAnswer);
    await h.clock.advance(0);
    expect(h.watch.report()).toMatchObject({ state: "stale", reason: "boom" });
    await h.clock.advance(200);
    await h.answer(list(["a"], 10n));
    expect(h.watch.report().state).toBe("live");
  });

  it("tells a change of state once", async () => {
    const h = await liveWatch(["a"]);
    for (let n = 0; n < 3; n += 1) await h.answerAndAwaitNext(reset);
    await h.answer(list(["a"], 10n));
    expect(h.states).toEqual(["live", "stale", "live"]);
  });
});

describe("an empty list", () => {
  it("is believed at once from a server that was there all the time", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(list([], 11n));
    expect(h.values.at(-1)).toEqual([]);
    expect(h.watch.report().state).toBe("live");
  });

  it("is held back after a failure and believed when it stays for the grace time", async () => {
    const h = await liveWatch(["a"], { emptyGraceMs: 10_000 });
    await h.answerAndAwaitNext(reset);
    await h.answerAndAwaitNext(list([], 4n));
    expect(h.values).toEqual([["a"]]);
    expect(h.watch.report().state).toBe("suspect");
    expect(h.watch.report().reason).toContain("ECONNRESET");
    expect(h.last().request.query).toMatchObject({ index: "4", wait: "10000ms" });
    await h.clock.advance(9_999);
    await h.answerAndAwaitNext(list([], 5n));
    expect(h.values).toEqual([["a"]]);
    expect(h.last().request.query).toMatchObject({ index: "5", wait: "100ms" });
    await h.clock.advance(1);
    await h.answer(list([], 5n));
    expect(h.values).toEqual([["a"], []]);
    expect(h.watch.report()).toMatchObject({ state: "live", reason: "" });
  });

  it("is forgotten when instances come back in time, also only some of them", async () => {
    const h = await liveWatch(["a", "b", "c"]);
    await h.answerAndAwaitNext(reset);
    await h.answerAndAwaitNext(list([], 4n));
    await h.clock.advance(2_000);
    await h.answerAndAwaitNext(list(["b"], 6n));
    expect(h.values).toEqual([["a", "b", "c"], ["b"]]);
    // The connection has proved itself: a later empty list is believed.
    await h.answer(list([], 7n));
    expect(h.values.at(-1)).toEqual([]);
  });

  it("is suspect when the index went backwards without a failure in between", async () => {
    const h = await liveWatch(["a"]);
    await h.answerAndAwaitNext(list([], 3n));
    expect(h.values).toEqual([["a"]]);
    expect(h.watch.report()).toMatchObject({ state: "suspect" });
    expect(h.watch.report().reason).toContain("backwards");
  });

  it("takes a list of a server without a leader, and says that it may be old", async () => {
    const h = await liveWatch(["a"]);
    const before = h.watch.report().lastSuccessMs;
    await h.answer(list(["a", "b"], 12n, { "x-consul-knownleader": "false" }));
    expect(h.values.at(-1)).toEqual(["a", "b"]);
    expect(h.watch.report()).toMatchObject({ state: "stale", lastSuccessMs: before });
    expect(h.watch.report().reason).toContain("no leader");
  });

  it("is suspect while the servers have no leader", async () => {
    const h = await liveWatch(["a"]);
    await h.answer(list([], 12n, { "x-consul-knownleader": "false" }));
    expect(h.watch.report().state).toBe("suspect");
    expect(h.values).toEqual([["a"]]);
  });

  it("starts its grace time anew after another failure", async () => {
    const h = await liveWatch(["a"], { emptyGraceMs: 10_000 });
    await h.answerAndAwaitNext(reset);
    await h.answerAndAwaitNext(list([], 4n));
    await h.clock.advance(9_000);
    await h.answerAndAwaitNext(reset);
    await h.answerAndAwaitNext(list([], 4n));
    await h.clock.advance(9_000);
    await h.answer(list([], 5n));
    expect(h.watch.report().state).toBe("suspect");
    expect(h.values).toEqual([["a"]]);
  });

  it("is never believed while the token may not see everything", async () => {
    const h = await liveWatch(["a"]);
    for (let n = 0; n < 10; n += 1) {
      await h.answerAndAwaitNext(list([], 11n, { "x-consul-results-filtered-by-acls": "true" }));
    }
    expect(h.values).toEqual([["a"]]);
    expect(h.watch.report().state).toBe("stale");
    expect(h.watch.report().reason).toContain("service:read");
    expect(h.watch.report().details.filteredByAcls).toBe("true");
  });

  it("takes nothing away from a pool that is empty already", async () => {
    const h = await liveWatch([]);
    await h.answerAndAwaitNext(reset);
    await h.answer(list([], 4n));
    expect(h.watch.report().state).toBe("live");
  });

  it("does not make a server that ignores `wait` be asked without end", async () => {
    const h = await liveWatch(["a"], { emptyGraceMs: 10_000 });
    await h.answerAndAwaitNext(reset);
    const before = h.sent.length;
    for (let ms = 0; ms < 9_000; ms += 5) {
      h.last().answer(list([], 4n));
      await h.clock.advance(5);
    }
    expect(h.sent.length - before).toBeLessThanOrEqual(15);
    expect(h.values).toEqual([["a"]]);
  });

  it("is believed at once when the grace time is zero", async () => {
    const h = await liveWatch(["a"], { emptyGraceMs: 0 });
    await h.answerAndAwaitNext(reset);
    await h.answer(list([], 4n));
    expect(h.values.at(-1)).toEqual([]);
  });
});

it("reports what the headers of the last good answer said", async () => {
  const h = await liveWatch(["a"]);
  await h.answerAndAwaitNext(
    list(["a"], 12n, {
      "x-consul-lastcontact": "15",
      "x-consul-knownleader": "true",
      "x-cache": "HIT",
      age: "3",
    }),
  );
  expect(h.watch.report().details).toEqual({
    lastContactMs: "15",
    knownLeader: "true",
    cache: "HIT",
    age: "3",
    index: "12",
    wait: "60000ms",
  });
});
