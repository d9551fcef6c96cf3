import { describe, expect, it } from "vitest";
import { PoolKeeper } from "../../../src/control/pool-keeper.js";
import type { GuardedStatus, PoolSource, SourceSink } from "../../../src/control/source.js";
import { ManualClock } from "../../support/manual-clock.js";
import { endpoint, newPool, OUTLIER } from "../../support/pool-fixture.js";

/** A source that says what the test says. */
class SpokenSource implements PoolSource {
  sink: SourceSink | undefined;
  isStopped = false;

  start(sink: SourceSink): void {
    this.sink = sink;
  }

  stop(): void {
    this.isStopped = true;
  }

  statuses(): readonly GuardedStatus[] {
    throw new Error("nobody asks");
  }

  say(...ids: string[]): void {
    this.sink?.onSnapshot({ endpoints: ids.map((id, index) => endpoint(id, { port: 80 + index })) });
  }
}

function setUp() {
  const clock = new ManualClock();
  const pool = newPool({ outlier: OUTLIER, drainDeadlineMs: 3_000 });
  const source = new SpokenSource();
  const keeper = new PoolKeeper({ pool, source, prober: undefined, clock });
  return { clock, pool, source, keeper };
}

describe("a pool keeper", () => {
  it("is started with the first list, an empty one too", async () => {
    const { clock, pool, source, keeper } = setUp();
    let isStarted = false;
    void keeper.start().then(() => {
      isStarted = true;
    });
    await clock.advance(60_000);
    expect(isStarted).toBe(false);
    source.say();
    await clock.advance(0);
    expect(isStarted).toBe(true);
    expect(pool.appliedMs).toBe(clock.nowMs());
  });

  it("wakes the pool when an ejection ends, no sooner", async () => {
    const { clock, pool, source, keeper } = setUp();
    void keeper.start();
    source.say("a", "b");
    const [backend] = pool.backends();
    if (backend === undefined) throw new Error("the pool is empty");
    pool.eject(backend, 5_000, "test", clock.nowMs());
    await clock.advance(4_999);
    expect(backend.facts.detection.state).toBe("ejected");
    await clock.advance(1);
    expect(backend.facts.detection.state).toBe("active");
  });

  it("wakes it for the earlier of two deadlines that came later", async () => {
    const { clock, pool, source, keeper } = setUp();
    void keeper.start();
    source.say("a", "b", "c");
    const [first, second] = pool.backends();
    if (first === undefined || second === undefined) throw new Error("the pool is too small");
    pool.eject(first, 20_000, "test", clock.nowMs());
    pool.eject(second, 1_000, "test", clock.nowMs());
    await clock.advance(1_000);
    expect(second.facts.detection.state).toBe("active");
    expect(first.facts.detection.state).toBe("ejected");
  });

  it("tells when the time of a backend that left is over, and its work is not", async () => {
    const { clock, pool, source, keeper } = setUp();
    void keeper.start();
    source.say("a");
    const lease = pool.acquire([], clock.nowMs());
    const cut: string[] = [];
    pool.subscribe((event) => {
      if (event.type === "drain-deadline") cut.push(event.backend.endpoint.id);
    });
    source.say();
    await clock.advance(2_999);
    expect(cut).toEqual([]);
    await clock.advance(1);
    expect(cut).toEqual(["a"]);
    lease?.release("ignored", 0, clock.nowMs());
    expect(pool.size).toBe(0);
  });

  it("leaves no timer behind when it is stopped", async () => {
    const { clock, pool, source, keeper } = setUp();
    void keeper.start();
    source.say("a", "b");
    const [backend] = pool.backends();
    if (backend !== undefined) pool.eject(backend, 5_000, "test", clock.nowMs());
    keeper.stop();
    expect(source.isStopped).toBe(true);
    expect(clock.pendingTimers()).toBe(0);
    await clock.advance(60_000);
    expect(backend?.facts.detection.state).toBe("ejected");
  });
});
