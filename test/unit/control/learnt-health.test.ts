import { expect, it } from "vitest";
import { learntOf, recall } from "../../../src/control/learnt-health.js";
import { endpoint, newPool, OUTLIER } from "../../support/pool-fixture.js";

const ENDPOINTS = [endpoint("a"), endpoint("b"), endpoint("c"), endpoint("d")];

function poolAt(nowMs: number) {
  const pool = newPool({ outlier: OUTLIER });
  pool.apply({ endpoints: ENDPOINTS }, nowMs);
  const find = (id: string) => {
    const backend = [...pool.backends()].find((each) => each.endpoint.id === id);
    if (backend === undefined) throw new Error(`no ${id}`);
    return backend;
  };
  return { pool, find };
}

/** As it goes from process to process. */
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** A pool in which a is ejected until 6,000 and b is down. */
function sickPool() {
  const { pool, find } = poolAt(1_000);
  const lease = () => pool.acquire([find("b"), find("c"), find("d")], 1_000);
  for (let failures = 0; failures < 3; failures++) lease()?.release("server-error", 500, 1_000);
  pool.setCheck(find("b"), "down", "DOWN 0/2", 1_000);
  expect(find("a").facts.detection.state).toBe("ejected");
  return pool;
}

it("tells of what is not well, and of nothing else", () => {
  expect(learntOf(sickPool(), 2_000)).toMatchObject([
    { pool: "web", ejection: { cause: "consecutive-5xx", leftMs: 4_000, multiplier: 1 } },
    { pool: "web", down: "DOWN 0/2" },
  ]);
});

it("goes on with ejections for the rest of their time, and counts them towards the next", () => {
  const learnt = sent(learntOf(sickPool(), 2_000));
  const { pool, find } = poolAt(500_000);
  recall(pool, learnt, true, 500_000);
  expect(find("a").facts.detection.state).toBe("ejected");
  expect(find("a").monitor.multiplier).toBe(1);
  pool.tick(503_999);
  expect(find("a").facts.detection.state).toBe("ejected");
  pool.tick(504_000);
  expect(find("a").facts.detection.state).toBe("active");
});

it("believes a check only where checks go on", () => {
  const learnt = sent(learntOf(sickPool(), 2_000));
  const [checked, unchecked] = [poolAt(0), poolAt(0)];
  recall(checked.pool, learnt, true, 0);
  recall(unchecked.pool, learnt, false, 0);
  expect(checked.find("b").facts.check).toMatchObject({ state: "down", why: "DOWN 0/2" });
  expect(unchecked.find("b").facts.check.state).toBe("unchecked");
});

it.each([
  undefined,
  "x",
  [7],
  [
    {
      pool: "web",
      backend: "test/a@10.0.0.1:80",
      ejection: { cause: "bad luck", why: "", leftMs: 5, multiplier: 1 },
    },
  ],
  [{ pool: "web", backend: "test/gone@10.0.0.1:80", down: "x" }],
  [{ pool: "other", backend: "test/a@10.0.0.1:80", down: "x" }],
])("takes nothing from %j", (learnt) => {
  const { pool } = poolAt(0);
  recall(pool, learnt, true, 0);
  expect(pool.eligibleCount).toBe(ENDPOINTS.length);
});
