import { afterEach, describe, expect, it } from "vitest";
import { terms } from "../support/pool-fixture.js";
import { until } from "../support/raw-client.js";
import { type WaitingOptions, WaitingScene } from "../support/waiting-scene.js";

const open: WaitingScene[] = [];
afterEach(async () => {
  for (const scene of open.splice(0)) await scene.close();
});

describe.each(["http", "tcp"] as const)("over %s, who waits", (spoken) => {
  async function aScene(options: WaitingOptions = {}): Promise<WaitingScene> {
    const scene = await WaitingScene.start(spoken, options);
    open.push(scene);
    return scene;
  }

  it.each([true, false])("for a backend that is down stays with it where persist is %s", async (persist) => {
    const scene = await aScene({ poolRules: { persist } });
    const own = await scene.bind(2);
    scene.pool.setCheck(scene.backend(own), "down", "", scene.clock.nowMs());
    scene.arrive("again", 2);
    expect(await scene.servedBy("again")).toBe(persist ? own : 1 - own);
  });

  it("for any backend is served when one returns while it is awaited", async () => {
    const scene = await aScene({ backends: 1, poolRules: { awaitBackendMs: 2_000 } });
    const backend = scene.backend(0);
    scene.pool.setCheck(backend, "down", "", scene.clock.nowMs());
    await scene.wait("patient", 2);
    await scene.clock.advance(1_999);
    scene.pool.tick(scene.clock.nowMs());
    expect(scene.pool.queue.length).toBe(1);
    scene.pool.setCheck(backend, "up", "", scene.clock.nowMs());
    expect(await scene.servedBy("patient")).toBe(0);
  });

  it("for any backend is turned away once none is awaited any longer, and so is who comes then", async () => {
    const scene = await aScene({ backends: 1, poolRules: { awaitBackendMs: 2_000 } });
    scene.pool.setCheck(scene.backend(0), "down", "", scene.clock.nowMs());
    const patient = await scene.wait("patient", 2);
    await scene.clock.advance(2_000);
    scene.pool.tick(scene.clock.nowMs());
    await scene.turnedAway(patient);
    await scene.turnedAway(scene.arrive("late", 2));
  });

  it("at its backend does so up to the line's limit; the next one goes elsewhere", async () => {
    const scene = await aScene({ poolRules: { maxQueuePerBackend: 1 } });
    const own = await scene.bind(2);
    scene.arrive("holder", 2);
    expect(await scene.servedBy("holder")).toBe(own);
    await scene.wait("second", 2);
    expect(scene.pool.queue.at(scene.backend(own))?.length).toBe(1);
    scene.arrive("third", 2);
    expect(await scene.servedBy("third")).toBe(1 - own);
    await scene.finish("holder");
    expect(await scene.servedBy("second")).toBe(own);
  });

  it("at its backend is refused beyond the limit where it may not go elsewhere", async () => {
    const scene = await aScene({ poolRules: { maxQueuePerBackend: 1, redispatch: false } });
    await scene.bind(2);
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    await scene.wait("second", 2);
    await scene.turnedAway(scene.arrive("third", 2));
  });

  it("is turned away when the queue's time is over, not before, and leaves no place taken", async () => {
    const scene = await aScene({ backends: 1, timeouts: { queueMs: 700 } });
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    const second = await scene.wait("second", 3);
    await scene.clock.advance(699);
    expect(scene.pool.queue.length).toBe(1);
    await scene.clock.advance(1);
    await scene.turnedAway(second);
    expect([scene.pool.queue.length, scene.pool.total("queueTimeouts")]).toEqual([0, 1]);
  });

  it("at a backend that goes down is handed back and served by the other", async () => {
    const scene = await aScene();
    const own = await scene.bind(2);
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    await scene.wait("second", 2);
    scene.pool.setCheck(scene.backend(own), "down", "", scene.clock.nowMs());
    expect(await scene.servedBy("second")).toBe(1 - own);
  });

  it("when the last backend goes is served by the pool behind", async () => {
    const scene = await aScene({ backends: 1, hasFallback: true });
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    await scene.wait("second", 3);
    scene.pool.apply({ endpoints: [] }, scene.clock.nowMs());
    expect(await scene.servedBy("second")).toBe("spare");
    expect([scene.pool.queue.length, scene.pool.total("refusedNoBackend")]).toEqual([0, 0]);
  });

  it("when the last backend goes, with no pool behind, is turned away at once", async () => {
    const scene = await aScene({ backends: 1 });
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    const second = await scene.wait("second", 3);
    scene.pool.apply({ endpoints: [] }, scene.clock.nowMs());
    await scene.turnedAway(second);
    expect(scene.pool.total("refusedNoBackend")).toBe(1);
  });

  it("is asked whom it is bound to before the pool behind is", async () => {
    const scene = await aScene({ hasFallback: true });
    const own = await scene.bind(2);
    for (const index of [0, 1])
      scene.pool.setAdmin(scene.backend(index), "drain", terms(), scene.clock.nowMs());
    scene.arrive("bound", 2);
    expect(await scene.servedBy("bound")).toBe(own);
    scene.arrive("stranger", 3);
    expect(await scene.servedBy("stranger")).toBe("spare");
  });

  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [-1, 3],
  ])(
    "for its own backend, which refuses, leaves it with interval %i after %i tries",
    async (interval, tries) => {
      const scene = await aScene({ retries: { max: 3, redispatchInterval: interval } });
      const own = await scene.bind(2);
      await scene.stop(own);
      scene.arrive("again", 2);
      for (let done = 1; done < tries; done++) {
        await until(() => scene.pool.total("retries") === done);
        await scene.clock.advance(999);
        expect(scene.pool.total("retries")).toBe(done);
        await scene.clock.advance(1);
      }
      expect(await scene.servedBy("again")).toBe(1 - own);
      expect([scene.pool.total("retries"), scene.pool.total("redispatches")]).toEqual([tries - 1, 1]);
    },
  );

  it.each(["end", "reset"] as const)(
    "and leaves by %s is out of the queue; who came behind is next",
    async (how) => {
      const scene = await aScene({ backends: 1 });
      scene.arrive("holder", 2);
      await scene.servedBy("holder");
      const leaving = await scene.wait("leaving", 3);
      await scene.wait("staying", 4);
      if (how === "end") leaving.finish();
      else leaving.reset();
      await until(() => scene.pool.queue.length === 1);
      await scene.finish("holder");
      expect([await scene.servedBy("staying"), scene.whoHas("leaving")]).toEqual([0, undefined]);
    },
  );

  it("and half-closes is served where abortOnClose is false, and its end is passed on", async () => {
    const scene = await aScene({ backends: 1, abortOnClose: false });
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    const second = await scene.wait("second", 3);
    second.finish();
    await scene.wait("third", 4);
    expect(scene.pool.queue.length).toBe(2);
    await scene.finish("holder");
    expect(await scene.servedBy("second")).toBe(0);
    await scene.finish("second");
    expect(await scene.servedBy("third")).toBe(0);
  });
});

describe("over tcp, who waits", () => {
  it("says more than is kept of it, and all of it arrives", async () => {
    const scene = await WaitingScene.start("tcp", { backends: 1 });
    open.push(scene);
    scene.arrive("holder", 2);
    await scene.servedBy("holder");
    const talker = await scene.wait("talker", 3);
    const words = Array.from({ length: 40_000 }, (_, index) => `word-${index} `).join("");
    talker.socket.write(words);
    await scene.clock.advance(100);
    await scene.finish("holder");
    await until(() => scene.heard("talker").length >= words.length);
    expect(scene.heard("talker").endsWith(`\r\n\r\n${words}`)).toBe(true);
  });
});
