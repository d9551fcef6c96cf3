import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import { MarkedCuts } from "../../../src/proxy/marked-cuts.js";
import { OpenWork } from "../../../src/proxy/open-work.js";
import { endpoint, newPool } from "../../support/pool-fixture.js";

const TERMS = { origin: "operator", owner: "test", reason: "test", ttlMs: undefined } as const;

/** Two actives and two backups, with one session open on each; told is what was cut and why. */
function setUp(isCutWhenDown: boolean, areBackupsCutWhenUp: boolean) {
  const pool = newPool();
  const work = new OpenWork();
  const cuts = new MarkedCuts(pool, work, () => ({ isCutWhenDown, areBackupsCutWhenUp }));
  pool.subscribe((event) => cuts.hear(event));
  const listed = [
    endpoint("a"),
    endpoint("b"),
    endpoint("c", { priority: 1 }),
    endpoint("d", { priority: 2 }),
  ];
  pool.apply({ endpoints: listed }, 0);
  const told: string[] = [];
  for (const backend of pool.backends()) {
    const { id } = backend.endpoint;
    work.add(backend, { kind: "tunnel", cut: (cause) => told.push(`${id} ${cause}`) });
  }
  const find = (id: string): Backend => {
    const found = [...pool.backends()].find((each) => each.endpoint.id === id);
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  };
  return { pool, told, find };
}

describe("MarkedCuts", () => {
  it("cuts the work of a backend that its check takes down, and of no other", () => {
    const { pool, told, find } = setUp(true, false);
    pool.setCheck(find("a"), "down", "test", 1);
    expect(told).toEqual(["a marked-down"]);
    pool.setCheck(find("a"), "up", "test", 2);
    expect(told).toHaveLength(1);
  });

  it("cuts the work of a backend that goes into maint, and not of one that is drained", () => {
    const { pool, told, find } = setUp(true, false);
    pool.setAdmin(find("b"), "drain", TERMS, 1);
    expect(told).toEqual([]);
    pool.setAdmin(find("a"), "maint", TERMS, 1);
    expect(told).toEqual(["a marked-down"]);
  });

  it("cuts the work of all backups when a check brings an active back", () => {
    const { pool, told, find } = setUp(false, true);
    pool.setCheck(find("a"), "down", "test", 1);
    expect(told).toEqual([]);
    pool.setCheck(find("a"), "up", "test", 2);
    expect(told).toEqual(["c marked-up", "d marked-up"]);
  });

  it("cuts the work of all backups when an active leaves maint", () => {
    const { pool, told, find } = setUp(false, true);
    pool.setAdmin(find("a"), "maint", TERMS, 1);
    pool.setAdmin(find("a"), "ready", TERMS, 2);
    expect(told).toEqual(["c marked-up", "d marked-up"]);
  });

  it.each<[string, (scene: ReturnType<typeof setUp>) => void]>([
    ["a backup is back", ({ pool, find }) => bounce(pool, find("c"))],
    [
      "an active is back that is drained",
      ({ pool, find }) => {
        pool.setAdmin(find("a"), "drain", TERMS, 1);
        bounce(pool, find("a"));
      },
    ],
    [
      "an active is back that has no weight",
      ({ pool, find }) => {
        pool.setWeight(find("a"), { kind: "weight", weight: 0 }, TERMS, 1);
        bounce(pool, find("a"));
      },
    ],
    [
      "an active is back that is ejected",
      ({ pool, find }) => {
        pool.setCheck(find("a"), "down", "test", 1);
        pool.eject(find("a"), 1_000, "test", 2);
        pool.setCheck(find("a"), "up", "test", 3);
      },
    ],
    ["a drain ends", ({ pool, find }) => drainAndEnd(pool, find("a"))],
    ["the first check passes", ({ pool, find }) => pool.setCheck(find("a"), "up", "test", 1)],
  ])("leaves backups alone when %s", (_title, happen) => {
    const scene = setUp(false, true);
    happen(scene);
    expect(scene.told).toEqual([]);
  });

  it("cuts nothing where nothing is asked for", () => {
    const { pool, told, find } = setUp(false, false);
    bounce(pool, find("a"));
    pool.setAdmin(find("a"), "maint", TERMS, 4);
    expect(told).toEqual([]);
  });
});

type Pool = ReturnType<typeof newPool>;

function bounce(pool: Pool, backend: Backend): void {
  pool.setCheck(backend, "down", "test", 2);
  pool.setCheck(backend, "up", "test", 3);
}

function drainAndEnd(pool: Pool, backend: Backend): void {
  pool.setAdmin(backend, "drain", TERMS, 1);
  pool.setAdmin(backend, "ready", TERMS, 2);
}
