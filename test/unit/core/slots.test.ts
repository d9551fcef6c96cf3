import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import { ConsistentHash } from "../../../src/core/balancers/consistent-hash.js";
import { Leastconn } from "../../../src/core/balancers/leastconn.js";
import { Maglev } from "../../../src/core/balancers/maglev.js";
import type { Lease } from "../../../src/core/lease.js";
import type { Waiter } from "../../../src/core/line.js";
import type { Pool } from "../../../src/core/pool.js";
import type { PoolOptions } from "../../../src/core/pool-options.js";
import type { Ticket } from "../../../src/core/queue.js";
import { apply, backendNamed, endpoint, newPool, terms, waiter } from "../../support/pool-fixture.js";

/** A pool with one slot on each backend, all taken, and a record of what becomes of those who wait. */
class Scene {
  readonly pool: Pool;
  readonly told: string[] = [];
  readonly #leases = new Map<string, Lease>();

  constructor(ids: readonly string[], options: Partial<PoolOptions> = {}) {
    this.pool = newPool({ maxInFlightPerBackend: 1, ...options });
    apply(
      this.pool,
      ids.map((id) => endpoint(id)),
    );
    for (const id of ids) {
      const lease = this.pool.acquireFor({ avoid: [], bound: this.backend(id) }, 0);
      if (lease === undefined) throw new Error(`no slot on ${id}`);
      this.#leases.set(id, lease);
    }
  }

  backend(id: string): Backend {
    return backendNamed(this.pool, id);
  }

  wait(name: string, changes: Partial<Waiter> = {}, nowMs = 0): Ticket | undefined {
    return this.pool.enqueue(
      waiter(
        (lease) => {
          this.#leases.set(lease.backend.endpoint.id, lease);
          this.told.push(`${name} ${lease.backend.endpoint.id}`);
        },
        { stranded: () => void this.told.push(`${name} sent away`), ...changes },
      ),
      nowMs,
    );
  }

  waitAt(id: string, name: string, nowMs = 0): Ticket | undefined {
    return this.wait(name, { bound: this.backend(id) }, nowMs);
  }

  release(id: string, nowMs = 10): void {
    this.#leases.get(id)?.release("success", 200, nowMs);
  }

  lengthAt(id: string): number {
    return this.pool.queue.at(this.backend(id))?.length ?? 0;
  }
}

describe("whoever waits while the last usable backend is lost", () => {
  it.each<[string, (scene: Scene) => void]>([
    ["goes down", (scene) => scene.pool.setCheck(scene.backend("a"), "down", "", 5)],
    ["goes into maint", (scene) => scene.pool.setAdmin(scene.backend("a"), "maint", terms(), 5)],
    ["is drained", (scene) => scene.pool.setAdmin(scene.backend("a"), "drain", terms(), 5)],
    ["is ejected", (scene) => scene.pool.eject(scene.backend("a"), 1_000, "", 5)],
    [
      "gets weight 0",
      (scene) => scene.pool.setWeight(scene.backend("a"), { kind: "weight", weight: 0 }, terms(), 5),
    ],
    ["leaves the list", (scene) => apply(scene.pool, [], 5)],
  ])("is sent away at once when it %s", (_what, lose) => {
    const scene = new Scene(["a"]);
    scene.wait("first");
    scene.wait("second");
    lose(scene);
    expect(scene.told).toEqual(["first sent away", "second sent away"]);
    expect(scene.pool.queue.length).toBe(0);
  });

  it("waits on while another one is left", () => {
    const scene = new Scene(["a", "b"]);
    scene.wait("one");
    scene.pool.setCheck(scene.backend("a"), "down", "", 5);
    expect(scene.told).toEqual([]);
    scene.release("b");
    expect(scene.told).toEqual(["one b"]);
  });

  it("waits on for its own backend, which is only drained", () => {
    const scene = new Scene(["a"]);
    scene.waitAt("a", "bound");
    scene.wait("free");
    scene.pool.setAdmin(scene.backend("a"), "drain", terms(), 5);
    expect(scene.told).toEqual(["free sent away"]);
    scene.release("a");
    expect(scene.told).toEqual(["free sent away", "bound a"]);
  });

  it("goes back to its own backend where that is the only one to have come back, drained", () => {
    const scene = new Scene(["a", "b"]);
    scene.waitAt("a", "bound");
    scene.pool.setCheck(scene.backend("a"), "down", "", 5);
    expect([scene.lengthAt("a"), scene.pool.queue.common.length]).toEqual([0, 1]);
    scene.pool.setAdmin(scene.backend("a"), "drain", terms(), 6);
    scene.pool.setCheck(scene.backend("a"), "up", "", 6);
    scene.pool.setCheck(scene.backend("b"), "down", "", 7);
    expect([scene.told, scene.lengthAt("a")]).toEqual([[], 1]);
  });

  it("may be told while it leaves others behind, each once", () => {
    const scene = new Scene(["a"]);
    const tickets: (Ticket | undefined)[] = [];
    scene.wait("first", {
      stranded: () => {
        scene.told.push("first sent away");
        tickets[0]?.cancel();
      },
    });
    tickets.push(scene.wait("second"));
    scene.wait("third");
    scene.pool.setCheck(scene.backend("a"), "down", "", 5);
    expect(scene.told).toEqual(["first sent away", "third sent away"]);
  });

  it("survives one that throws on it", () => {
    const broken: string[] = [];
    const scene = new Scene(["a"], { onInvariantBroken: (what) => broken.push(what) });
    scene.wait("bad", {
      stranded: () => {
        throw new Error("oh");
      },
    });
    scene.wait("good");
    scene.pool.setCheck(scene.backend("a"), "down", "", 5);
    expect([scene.told, broken]).toEqual([
      ["good sent away"],
      ["pool web: a waiter failed on being sent away: Error: oh"],
    ]);
  });
});

describe("a pool that awaits a backend", () => {
  it("keeps those who wait and lets others join, exactly as long as it may", () => {
    const scene = new Scene(["a"], { awaitBackendMs: 1_000 });
    const { pool } = scene;
    let isDueMoved = false;
    pool.onDueChanged(() => {
      isDueMoved = true;
    });
    scene.wait("early");
    pool.setCheck(scene.backend("a"), "down", "", 5_000);
    expect([pool.refusal(), pool.isAwaitingBackend(5_999), pool.isAwaitingBackend(6_000)]).toEqual([
      "no-usable-backend",
      true,
      false,
    ]);
    expect(pool.tick(5_000)).toBe(6_000);
    isDueMoved = false;
    scene.wait("late", {}, 5_500);
    expect([scene.told, isDueMoved]).toEqual([[], true]);
    pool.tick(5_999);
    expect(scene.told).toEqual([]);
    expect(pool.tick(6_000)).toBe(Number.POSITIVE_INFINITY);
    expect(scene.told).toEqual(["early sent away", "late sent away"]);
  });

  it("serves them when one returns in time, and counts anew from the next loss", () => {
    const scene = new Scene(["a", "b"], { awaitBackendMs: 1_000 });
    const { pool } = scene;
    pool.setCheck(scene.backend("a"), "down", "", 0);
    pool.setCheck(scene.backend("b"), "down", "", 0);
    scene.release("a");
    scene.wait("one", {}, 900);
    pool.setCheck(scene.backend("a"), "up", "", 999);
    expect(scene.told).toEqual(["one a"]);
    pool.setCheck(scene.backend("a"), "down", "", 2_000);
    expect([pool.isAwaitingBackend(2_999), pool.isAwaitingBackend(3_000)]).toEqual([true, false]);
  });

  it("awaits none that it never had", () => {
    const pool = newPool({ awaitBackendMs: 1_000 });
    expect(pool.isAwaitingBackend(0)).toBe(false);
    apply(pool, [], 5);
    expect(pool.isAwaitingBackend(5)).toBe(false);
  });

  it("sends them away when a reload no longer allows the wait", () => {
    const scene = new Scene(["a"], { awaitBackendMs: 1_000 });
    scene.wait("one");
    scene.pool.setCheck(scene.backend("a"), "down", "", 0);
    scene.pool.reconfigure({ ...scene.pool.options, awaitBackendMs: 0 }, 1);
    expect(scene.told).toEqual(["one sent away"]);
  });
});

describe("a freed slot", () => {
  it("goes to the older of the backend's line and the common one", () => {
    const scene = new Scene(["a", "b"]);
    scene.waitAt("a", "bound first", 1);
    scene.wait("free", {}, 2);
    scene.waitAt("a", "bound last", 3);
    for (let turn = 0; turn < 3; turn++) scene.release("a");
    expect(scene.told).toEqual(["bound first a", "free a", "bound last a"]);
  });

  it("goes to the backend's line when both came at once, as in HAProxy", () => {
    const scene = new Scene(["a"]);
    scene.waitAt("a", "bound", 1);
    scene.wait("free", {}, 1);
    scene.release("a");
    expect(scene.told).toEqual(["bound a"]);
  });

  it("goes by class before age, in both lines and between them", () => {
    const scene = new Scene(["a"]);
    scene.wait("ordinary", {}, 1);
    scene.waitAt("a", "bound", 2);
    scene.wait("batch", { priority: { class: 5, offsetMs: -10_000 } }, 3);
    scene.wait("urgent", { priority: { class: -1, offsetMs: 10_000 } }, 4);
    scene.wait("urgent bound", { priority: { class: -2, offsetMs: 0 }, bound: scene.backend("a") }, 5);
    for (let turn = 0; turn < 5; turn++) scene.release("a");
    expect(scene.told).toEqual(["urgent bound a", "urgent a", "ordinary a", "bound a", "batch a"]);
  });

  it("goes by the offset within a class, to the millisecond", () => {
    const scene = new Scene(["a"]);
    scene.wait("at 100", {}, 100);
    scene.wait("as if at 99", { priority: { class: 0, offsetMs: -101 } }, 200);
    scene.wait("as if at 100", { priority: { class: 0, offsetMs: -100 } }, 200);
    scene.wait("as if at 250", { priority: { class: 0, offsetMs: 149 } }, 101);
    for (let turn = 0; turn < 4; turn++) scene.release("a", 300);
    expect(scene.told).toEqual(["as if at 99 a", "at 100 a", "as if at 100 a", "as if at 250 a"]);
  });

  it("of a backend that takes no work of others goes to its own line alone", () => {
    const scene = new Scene(["a", "b"]);
    scene.wait("free", {}, 1);
    scene.waitAt("a", "bound", 2);
    scene.pool.setAdmin(scene.backend("a"), "drain", terms(), 3);
    scene.release("a");
    expect(scene.told).toEqual(["bound a"]);
    scene.release("a");
    expect(scene.told).toEqual(["bound a"]);
  });
});

describe("a line at a backend", () => {
  it("takes as many as it may; the next one goes elsewhere, or waits with the others", () => {
    const scene = new Scene(["a", "b"], { maxQueuePerBackend: 1 });
    const bound = { avoid: [], bound: scene.backend("a") };
    expect(scene.waitAt("a", "first")?.backend).toBe(scene.backend("a"));
    expect(scene.waitAt("a", "second")).toMatchObject({ backend: undefined, ahead: 0 });
    expect(scene.waitAt("a", "third")).toMatchObject({ backend: undefined, ahead: 1 });
    scene.release("b");
    expect(scene.told).toEqual(["second b"]);
    scene.release("b");
    scene.release("b");
    expect(scene.told).toEqual(["second b", "third b"]);
    expect(scene.pool.acquireFor(bound, 20)?.backend).toBe(scene.backend("b"));
  });

  it("refuses the next one where requests may not go elsewhere, and counts it", () => {
    const scene = new Scene(["a", "b"], { maxQueuePerBackend: 1, redispatch: false });
    scene.release("b");
    scene.waitAt("a", "first");
    expect(scene.pool.acquireFor({ avoid: [], bound: scene.backend("a") }, 1)).toBeUndefined();
    expect(scene.waitAt("a", "second")).toBeUndefined();
    expect(scene.pool.total("refusedQueueFull")).toBe(1);
  });

  it("counts towards the limit of the pool's queue", () => {
    const scene = new Scene(["a", "b"], { maxQueue: 2 });
    scene.waitAt("a", "first");
    scene.waitAt("b", "second");
    expect([scene.wait("third"), scene.waitAt("a", "fourth")]).toEqual([undefined, undefined]);
  });

  it.each<[string, (scene: Scene) => void, Partial<PoolOptions>, "common" | "own"]>([
    ["maint", (scene) => scene.pool.setAdmin(scene.backend("a"), "maint", terms(), 5), {}, "common"],
    [
      "maint without redispatch",
      (scene) => scene.pool.setAdmin(scene.backend("a"), "maint", terms(), 5),
      { redispatch: false },
      "common",
    ],
    ["down", (scene) => scene.pool.setCheck(scene.backend("a"), "down", "", 5), {}, "common"],
    ["ejected", (scene) => scene.pool.eject(scene.backend("a"), 900, "", 5), {}, "common"],
    [
      "down without redispatch",
      (scene) => scene.pool.setCheck(scene.backend("a"), "down", "", 5),
      { redispatch: false },
      "own",
    ],
    [
      "down with persistent sessions",
      (scene) => scene.pool.setCheck(scene.backend("a"), "down", "", 5),
      { persist: true },
      "own",
    ],
    [
      "gone with persistent sessions",
      (scene) => apply(scene.pool, [endpoint("b")], 5),
      { persist: true },
      "common",
    ],
    ["drained", (scene) => scene.pool.setAdmin(scene.backend("a"), "drain", terms(), 5), {}, "own"],
  ])("of a backend that is %s has its waiters in the right line", (_what, change, options, line) => {
    const scene = new Scene(["a", "b"], options);
    const a = scene.backend("a");
    scene.wait("older", {}, 1);
    scene.waitAt("a", "bound", 2);
    scene.wait("younger", {}, 3);
    change(scene);
    const own = scene.pool.queue.at(a)?.length;
    expect([own, scene.pool.queue.common.length]).toEqual(line === "own" ? [1, 2] : [0, 3]);
    for (let turn = 0; turn < 3; turn++) scene.release("b");
    const common = ["older b", "bound b", "younger b"];
    expect(scene.told).toEqual(line === "own" ? ["older b", "younger b"] : common);
  });
});

describe("persistent sessions", () => {
  it("go to their backend while it is down or ejected, not in maint nor once it left", () => {
    const pool = newPool({ persist: true });
    apply(pool, [endpoint("a"), endpoint("b", { host: "10.0.0.2" })]);
    const a = backendNamed(pool, "a");
    const bound = () => pool.acquireFor({ avoid: [], bound: a }, 0)?.backend.endpoint.id;
    pool.setCheck(a, "down", "", 0);
    const down = bound();
    pool.eject(a, 1_000, "", 0);
    const ejected = bound();
    pool.setAdmin(a, "maint", terms(), 0);
    const maint = bound();
    pool.setAdmin(a, "ready", terms(), 0);
    apply(pool, [endpoint("b", { host: "10.0.0.2" })], 0);
    expect([down, ejected, maint, bound()]).toEqual(["a", "a", "b", "b"]);
  });
});

describe.each([
  [
    "consistent-hash",
    (loadFactor: number) => new ConsistentHash({ virtualNodes: 64, loadFactor }, () => 0.5),
  ],
  ["maglev", (loadFactor: number) => new Maglev({ tableSize: 251, loadFactor }, () => 0.5)],
])("a key under %s", (_name, balancer) => {
  function homeOf(scene: Scene): Backend {
    const home = scene.pool.tiers.home([], 77);
    if (home === undefined) throw new Error("the key belongs nowhere");
    return home;
  }

  it("waits where it belongs, though others have room", () => {
    const scene = new Scene(["a", "b", "c"], { balancer: () => balancer(0) });
    const home = homeOf(scene);
    for (const id of ["a", "b", "c"]) if (id !== home.endpoint.id) scene.release(id);
    expect(scene.pool.acquireFor({ avoid: [], hash: 77 }, 1)).toBeUndefined();
    expect(scene.pool.refusal({ avoid: [], hash: 77 })).toBe("all-full");
    expect(scene.wait("keyed", { hash: 77 })?.backend).toBe(home);
    scene.release(home.endpoint.id);
    expect(scene.told).toEqual([`keyed ${home.endpoint.id}`]);
  });

  it("goes elsewhere at once with bounded load", () => {
    const scene = new Scene(["a", "b", "c"], { balancer: () => balancer(1.25) });
    scene.release("a");
    expect(scene.pool.tiers.home([], 77)).toBeUndefined();
    expect(scene.pool.acquireFor({ avoid: [], hash: 77 }, 1)?.backend.endpoint.id).toBe("a");
  });

  it("belongs to the next one while its backend is to be avoided", () => {
    const scene = new Scene(["a", "b", "c"], { balancer: () => balancer(0) });
    const home = homeOf(scene);
    const next = scene.pool.tiers.home([home], 77);
    expect(next === home || next === undefined).toBe(false);
  });

  it.each<[string, (scene: Scene, home: Backend) => void]>([
    ["drained", (scene, home) => scene.pool.setAdmin(home, "drain", terms(), 5)],
    ["down", (scene, home) => scene.pool.setCheck(home, "down", "", 5)],
  ])("waits at the next one once its backend is %s", (_what, change) => {
    const scene = new Scene(["a", "b", "c"], { balancer: () => balancer(0) });
    const home = homeOf(scene);
    scene.wait("keyed", { hash: 77 }, 1);
    change(scene, home);
    const next = homeOf(scene);
    expect([next === home, scene.pool.queue.at(next)?.length]).toEqual([false, 1]);
    scene.release(next.endpoint.id);
    expect(scene.told).toEqual([`keyed ${next.endpoint.id}`]);
  });
});

describe("keys of a pool in a panic", () => {
  it("belong to somebody, whatever his health", () => {
    const scene = new Scene(["a", "b"], {
      balancer: () => new ConsistentHash({ virtualNodes: 64, loadFactor: 0 }, () => 0.5),
      tiers: { allBackups: false, panicThreshold: 50 },
    });
    scene.pool.setCheck(scene.backend("a"), "down", "", 0);
    scene.pool.setCheck(scene.backend("b"), "down", "", 0);
    expect(scene.wait("keyed", { hash: 1 })?.backend).toBeDefined();
    scene.release("a");
    scene.release("b");
    expect(scene.told).toHaveLength(1);
  });
});

describe("a balancer that goes by no key", () => {
  it("has no place for one", () => {
    const scene = new Scene(["a"], { balancer: () => new Leastconn({ idle: "weighted" }) });
    expect(scene.wait("one", { hash: 5 })?.backend).toBeUndefined();
  });
});
