import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import type { Watcher } from "../../../src/admin/calls.js";
import { drainBackendMethod } from "../../../src/admin/drain-backend.js";
import {
  DrainBackendRequest,
  type DrainBackendResponse,
  DrainProgress,
  WatchEventsRequest,
  WatchStatsRequest,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { Messages } from "../../../src/admin/messages.js";
import { StatsBaseline } from "../../../src/admin/stats-baseline.js";
import { Timestamps, toDuration } from "../../../src/admin/timestamps.js";
import { watchEventsMethod } from "../../../src/admin/watch-events.js";
import { watchStatsMethod } from "../../../src/admin/watch-stats.js";
import { ManualClock } from "../../support/manual-clock.js";
import { backendOf, endpointOf, poolOf, Scene, silentLog } from "./scene.js";

/** A reader whose pauses end at once: time passes instead, or `onPause` makes something happen. */
class ReaderInTime implements Watcher {
  isOver = false;
  readonly #clock: ManualClock;
  readonly #onPause: () => void;

  constructor(clock: ManualClock, onPause: () => void = () => {}) {
    this.#clock = clock;
    this.#onPause = onPause;
  }

  async pause(delayMs: number | undefined): Promise<void> {
    this.#onPause();
    if (delayMs !== undefined) this.#clock.advanceSync(delayMs);
  }

  wake(): void {}
}

function sceneOf(options: { readonly journalCapacity?: number } = {}) {
  const clock = new ManualClock();
  const scene = new Scene({ clock, ...options });
  const web = scene.add(poolOf("web"), [endpointOf("a", 1), endpointOf("b", 2)]);
  const time = new Timestamps(clock);
  return { clock, scene, web, time, messages: new Messages(scene, time) };
}

async function take<Message>(stream: AsyncGenerator<Message>, most: number): Promise<Message[]> {
  const taken: Message[] = [];
  for await (const message of stream) {
    taken.push(message);
    if (taken.length === most) break;
  }
  return taken;
}

describe("DrainBackend", () => {
  function drain(
    scene: ReturnType<typeof sceneOf>,
    request: Partial<DrainBackendRequest>,
    onPause: () => void = () => {},
  ): Promise<DrainBackendResponse[]> {
    const method = drainBackendMethod(scene.scene, scene.time, silentLog);
    const reader = new ReaderInTime(scene.clock, onPause);
    return take(method(DrainBackendRequest.fromPartial(request), reader), 1000);
  }

  it("reports each change until nothing is left, and the drain stays", async () => {
    const scene = sceneOf();
    const backend = backendOf(scene.web, "a");
    const leases = [1, 2].map(() => scene.web.acquire([backendOf(scene.web, "b")], 1000));
    let pauses = 0;
    const messages = await drain(scene, { backend: "a", reason: "deploy" }, () => {
      pauses++;
      if (pauses % 3 === 0) leases.pop()?.release("success", 200, scene.clock.nowMs());
    });
    expect(messages.map(({ inFlight, progress }) => [inFlight, progress])).toEqual([
      [2, DrainProgress.DRAIN_PROGRESS_DRAINING],
      [1, DrainProgress.DRAIN_PROGRESS_DRAINING],
      [0, DrainProgress.DRAIN_PROGRESS_EMPTY],
    ]);
    expect(messages.at(-1)?.message).toContain("stays in force");
    expect(backend.facts.admin).toMatchObject({ state: "drain", why: "deploy" });
  });

  it("sends a message every second while nothing changes, and ends at the deadline with what is left", async () => {
    const scene = sceneOf();
    scene.web.acquire([backendOf(scene.web, "b")], 1000);
    const messages = await drain(scene, { backend: "a", deadline: toDuration(2500) });
    expect(messages.map(({ progress }) => progress)).toEqual([
      DrainProgress.DRAIN_PROGRESS_DRAINING,
      DrainProgress.DRAIN_PROGRESS_DRAINING,
      DrainProgress.DRAIN_PROGRESS_DRAINING,
      DrainProgress.DRAIN_PROGRESS_DEADLINE,
    ]);
    expect(messages.at(-1)).toMatchObject({ inFlight: 1, requests: 1, tunnels: 0 });
    expect(scene.web.inFlight).toBe(1);
    expect(scene.clock.nowMs()).toBe(3500);
  });

  it("has the pool cut at the deadline when asked", async () => {
    const scene = sceneOf();
    const lease = scene.web.acquire([backendOf(scene.web, "b")], 1000);
    const cuts: number[] = [];
    scene.web.subscribe((event, nowMs) => {
      if (event.type !== "drain-deadline") return;
      cuts.push(nowMs);
      lease?.release("ignored", 0, nowMs);
    });
    const request = { backend: "a", deadline: toDuration(500), cutAtDeadline: true };
    const messages = await drain(scene, request, () => scene.web.tick(scene.clock.nowMs()));
    expect(cuts).toEqual([1500]);
    expect(messages.at(-1)).toMatchObject({ progress: DrainProgress.DRAIN_PROGRESS_CUT, inFlight: 0 });
  });

  it("ends when somebody takes the drain back", async () => {
    const scene = sceneOf();
    scene.web.acquire([backendOf(scene.web, "b")], 1000);
    const terms = { origin: "operator", owner: "bob", reason: "", ttlMs: undefined } as const;
    const messages = await drain(scene, { backend: "a" }, () =>
      scene.web.setAdmin(backendOf(scene.web, "a"), "ready", terms, scene.clock.nowMs()),
    );
    expect(messages.at(-1)?.progress).toBe(DrainProgress.DRAIN_PROGRESS_TAKEN_BACK);
  });

  it("counts a backend that was removed meanwhile as empty", async () => {
    const scene = sceneOf();
    const lease = scene.web.acquire([backendOf(scene.web, "b")], 1000);
    const messages = await drain(scene, { backend: "a" }, () => {
      scene.web.apply({ endpoints: [endpointOf("b", 2)] }, scene.clock.nowMs());
      if (lease?.isOpen === true) lease.release("success", 200, scene.clock.nowMs());
    });
    expect(messages.at(-1)).toMatchObject({
      progress: DrainProgress.DRAIN_PROGRESS_EMPTY,
      backends: [{ removed: true }],
    });
  });

  it("never gives one that left discovery more time than it had", async () => {
    const scene = sceneOf();
    const backend = backendOf(scene.web, "a");
    scene.web.acquire([backendOf(scene.web, "b")], 1000);
    scene.web.apply({ endpoints: [endpointOf("b", 2)] }, 1000);
    const leavingMs = backend.drainUntilMs;
    expect(leavingMs).toBe(31_000);
    const request = { backend: backend.id, deadline: toDuration(100_000), cutAtDeadline: true };
    const method = drainBackendMethod(scene.scene, scene.time, silentLog);
    await take(method(DrainBackendRequest.fromPartial(request), new ReaderInTime(scene.clock)), 1);
    expect(backend.drainUntilMs).toBe(leavingMs);
  });

  it("refuses to cut without a deadline and changes nothing then", async () => {
    const scene = sceneOf();
    await expect(drain(scene, { backend: "a", cutAtDeadline: true })).rejects.toThrow(
      "cut_at_deadline: needs",
    );
    expect(backendOf(scene.web, "a").facts.admin.state).toBe("ready");
  });
});

describe("WatchEvents", () => {
  function watch(
    scene: ReturnType<typeof sceneOf>,
    request: Partial<WatchEventsRequest>,
    most: number,
    onPause: () => void = () => {},
  ) {
    const method = watchEventsMethod(scene.scene, scene.messages, scene.time);
    return take(
      method(WatchEventsRequest.fromPartial(request), new ReaderInTime(scene.clock, onPause)),
      most,
    );
  }

  it("begins with the present state in parts, all with the number of the last event", async () => {
    const scene = sceneOf();
    const endpoints = Array.from({ length: 250 }, (_, index) => endpointOf(`x${index}`, index + 1));
    scene.scene.add(poolOf("large"), endpoints);
    const before = BigInt(scene.scene.journal.nextSequence - 1);
    const parts = await watch(scene, { pool: "large" }, 3);
    expect(parts.map(({ sequence }) => sequence)).toEqual([before, before, before]);
    const shapes = parts.map(({ content }) =>
      content?.$case === "present"
        ? [content.value.pools.length, content.value.backends.length, content.value.complete]
        : content?.$case,
    );
    expect(shapes).toEqual([
      [1, 100, false],
      [0, 100, false],
      [0, 50, true],
    ]);
  });

  it("tells events after the state, and the same again to one who resumes", async () => {
    const scene = sceneOf();
    const flip = () => scene.web.setCheck(backendOf(scene.web, "a"), "down", "refused", scene.clock.nowMs());
    const [present, event] = await watch(scene, {}, 2, flip);
    expect(present?.content?.$case).toBe("present");
    expect(event?.sequence).toBe((present?.sequence ?? 0n) + 1n);
    expect(event?.content).toMatchObject({ value: { text: "check unchecked to down: refused", id: "a" } });
    const resumed = await watch(scene, { fromSequence: event?.sequence ?? 0n }, 1);
    expect(resumed).toEqual([event]);
  });

  it("names the gap to a reader that is too slow, and goes on with what is kept", async () => {
    const scene = sceneOf({ journalCapacity: 4 });
    for (let flip = 0; flip < 10; flip++) {
      scene.web.setCheck(backendOf(scene.web, "a"), flip % 2 === 0 ? "down" : "up", "flip", flip);
    }
    const last = scene.scene.journal.nextSequence - 1;
    const [gap, ...events] = await watch(scene, { fromSequence: 2n }, 5);
    expect(gap).toEqual({
      sequence: BigInt(last - 4),
      content: { $case: "gap", value: { first: 2n, last: BigInt(last - 4) } },
    });
    expect(events.map(({ sequence }) => sequence)).toEqual([last - 3, last - 2, last - 1, last].map(BigInt));
  });

  it("shows only the pool and the backend that were asked for, also one that comes later", async () => {
    const scene = sceneOf();
    scene.scene.add(poolOf("other"), [endpointOf("c", 3)]);
    const apply = () => {
      for (const pool of scene.scene.pools.values()) {
        pool.apply({ endpoints: [endpointOf("a", 1), endpointOf("c", 3)] }, scene.clock.nowMs());
      }
    };
    const [present, event] = await watch(scene, { pool: "web", backend: "c" }, 2, apply);
    expect(present?.content).toMatchObject({
      value: { pools: [{ name: "web" }], backends: [], complete: true },
    });
    expect(event?.content).toMatchObject({
      value: { pool: "web", id: "c", kind: { $case: "backendAdded" } },
    });
  });

  it("refuses a number that lies ahead", async () => {
    const scene = sceneOf();
    await expect(watch(scene, { fromSequence: 1_000_000n }, 1)).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      message: expect.stringContaining("the proxy was restarted"),
    });
  });
});

describe("WatchStats", () => {
  function watch(
    scene: ReturnType<typeof sceneOf>,
    request: Partial<WatchStatsRequest>,
    most: number,
    onPause: () => void = () => {},
  ) {
    const method = watchStatsMethod(scene.scene, new StatsBaseline(0), scene.time);
    return take(method(WatchStatsRequest.fromPartial(request), new ReaderInTime(scene.clock, onPause)), most);
  }

  it("sends everything once and then only what changed", async () => {
    const scene = sceneOf();
    const avoid = [backendOf(scene.web, "b")];
    let pauses = 0;
    const [first, second, third] = await watch(scene, {}, 3, () => {
      pauses++;
      if (pauses === 2)
        scene.web.acquire(avoid, scene.clock.nowMs())?.release("success", 200, scene.clock.nowMs());
    });
    expect(first).toMatchObject({ sequence: 1n, complete: true });
    expect(first?.pools[0]?.members).toHaveLength(2);
    expect(second).toMatchObject({ sequence: 2n, complete: false, pools: [] });
    expect(third).toMatchObject({
      sequence: 3n,
      pools: [{ pool: "web", counters: { served: 1, status2xx: 1 }, members: [{ id: "a" }] }],
    });
  });

  it("names the samples a slow reader missed and begins anew with everything", async () => {
    const scene = sceneOf();
    const method = watchStatsMethod(scene.scene, new StatsBaseline(0), scene.time);
    const request = WatchStatsRequest.fromPartial({ interval: toDuration(500), fromSequence: 10n });
    const stream = method(request, new ReaderInTime(scene.clock));
    expect((await stream.next()).value).toMatchObject({ sequence: 10n, gap: undefined });
    scene.clock.advanceSync(2100);
    const late = (await stream.next()).value;
    expect(late).toMatchObject({ sequence: 14n, complete: true, gap: { first: 11n, last: 13n } });
    expect((await stream.next()).value).toMatchObject({ sequence: 15n, complete: false, gap: undefined });
    await stream.return();
  });

  it("names backends that left", async () => {
    const scene = sceneOf();
    const leave = () => scene.web.apply({ endpoints: [endpointOf("b", 2)] }, scene.clock.nowMs());
    const [, second] = await watch(scene, {}, 2, leave);
    expect(second?.removed).toEqual([{ pool: "web", backend: "consul/dc1///node/a@10.0.0.1:1" }]);
  });

  it.each([99, 3_600_001])("refuses an interval of %d ms", async (ms) => {
    await expect(watch(sceneOf(), { interval: toDuration(ms) }, 1)).rejects.toThrow(
      /^interval: must be 100 ms/,
    );
  });
});
