import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { OVERRIDES_VERSION, OverrideStore } from "../../../src/control/override-store.js";
import { StateFile } from "../../../src/platform/state-file.js";
import { ManualClock } from "../../support/manual-clock.js";
import { endpoint, newPool, terms } from "../../support/pool-fixture.js";

/** A process with one pool of one backend; each call is the next process, `laterMs` after the one before. */
async function scene() {
  const folder = await mkdtemp(join(tmpdir(), "pilotfish-overrides-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "overrides.json");
  const warnings: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    error: () => {},
    warn: (_fields: object, message: string) => void warnings.push(message),
  };
  const process = async (laterMs = 0) => {
    const clock = new ManualClock();
    await clock.advance(laterMs);
    const file = new StateFile({ path, kind: "overrides", version: OVERRIDES_VERSION, clock, log });
    const store = new OverrideStore(file, clock, log);
    await store.load();
    const pool = newPool();
    store.follow(pool);
    pool.apply({ endpoints: [endpoint("one")] }, clock.nowMs());
    const [backend] = [...pool.backends()];
    if (backend === undefined) throw new Error("no backend");
    return { pool, backend, store, clock };
  };
  return { process, path, warnings };
}

const TERMS = terms();

it("brings back what the operator said, with who, why and until when", async () => {
  const { process } = await scene();
  const first = await process();
  const asked = { ...TERMS, owner: "ann", reason: "deploy", ttlMs: 10_000 };
  first.pool.setAdmin(first.backend, "drain", asked, first.clock.nowMs());
  first.pool.setWeight(first.backend, { kind: "percent", percent: 50 }, TERMS, first.clock.nowMs());
  await first.store.flush();

  const second = await process(4_000);
  expect(second.backend.facts.admin).toMatchObject({ state: "drain", why: "deploy" });
  expect(second.backend.row.weight16).toBe(8);
  const { admin } = second.pool.overrides.of("test/one");
  expect(admin).toMatchObject({ owner: "ann", expiresMs: second.clock.nowMs() + 6_000 });
  await second.clock.advance(5_999);
  second.pool.tick(second.clock.nowMs());
  expect(second.backend.facts.admin.state).toBe("drain");
  await second.clock.advance(1);
  second.pool.tick(second.clock.nowMs());
  expect(second.backend.facts.admin.state).toBe("ready");
});

it("forgets what expired while no process ran, and what was taken back", async () => {
  const { process } = await scene();
  const first = await process();
  first.pool.setAdmin(first.backend, "maint", { ...TERMS, ttlMs: 1_000 }, first.clock.nowMs());
  first.pool.setWeight(first.backend, { kind: "weight", weight: 7 }, TERMS, first.clock.nowMs());
  first.pool.setWeight(first.backend, undefined, TERMS, first.clock.nowMs());
  await first.store.flush();
  const second = await process(1_000);
  expect(second.backend.facts.admin.state).toBe("ready");
  expect(second.pool.overrides.list()).toEqual([]);
});

it("keeps nothing that others will say again", async () => {
  const { process } = await scene();
  const first = await process();
  first.pool.setWeight(first.backend, { kind: "weight", weight: 7 }, { ...TERMS, origin: "agent" }, 1_000);
  await first.store.flush();
  expect((await process()).pool.overrides.list()).toEqual([]);
});

it("keeps overrides of a pool that is not configured until it comes back", async () => {
  const { process } = await scene();
  const first = await process();
  first.pool.setAdmin(first.backend, "drain", TERMS, first.clock.nowMs());
  first.store.unfollow(first.pool);
  await first.store.flush();
  expect((await process()).backend.facts.admin.state).toBe("drain");
});

it("starts without overrides where they are damaged inside", async () => {
  const { process, path, warnings } = await scene();
  const damaged = [{ pool: "web", key: "test/one", admin: { value: "gone" } }];
  const envelope = { kind: "overrides", version: OVERRIDES_VERSION, savedWallMs: 1, data: damaged };
  await writeFile(path, JSON.stringify(envelope), { mode: 0o600 });
  expect((await process()).pool.overrides.list()).toEqual([]);
  expect(warnings).toEqual(["kept overrides are damaged, starting without them"]);
});
