import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { SourceState } from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { until } from "../../support/promised.js";
import { Stage } from "./stage.js";

let stage: Stage;

afterEach(() => stage.close());

describe.skipIf(isConsulMissing())("a start without Consul", () => {
  it("serves from the list of the process before, says so, and follows Consul when it is back", async () => {
    stage = await Stage.openWithConsul();
    const backends = await stage.backends("one", "two");
    for (const backend of backends) await stage.register("web", backend);
    const stateDir = join(stage.folder, "state");
    const process = { stateDir, consul: stage.consulConfig };
    const first = await stage.sidecarFor("web", { process });
    await stage.admin(first).settles("one", "two");
    const file = join(stateDir, "lists", "web.0.json");
    await until(async () => (await readFile(file, "utf8")).includes('"two"'), 10_000, "the saved list");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    first.signal("SIGKILL");
    await first.ended;

    await stage.consul.kill();
    const startedMs = performance.now();
    const second = await stage.sidecarFor("web", { process });
    expect(performance.now() - startedMs).toBeLessThan(8_000);
    const admin = stage.admin(second);
    expect(await admin.eligible()).toEqual(["one", "two"]);
    expect((await ask(second.port())).status).toBe(200);
    const source = await admin.source();
    expect(source).toMatchObject({ state: SourceState.SOURCE_STATE_STALE, saved: true, endpoints: 2 });
    expect(source.reason).toContain("serving a saved list: connect ECONNREFUSED");
    expect(await second.metric("pilotfish_discovery_saved")).toBe(1);
    expect(second.log.some(({ msg }) => msg === "serving a saved list, the source has none")).toBe(true);

    await stage.consul.restart();
    const [three] = await stage.backends("three");
    if (three === undefined) throw new Error("no backend");
    await stage.register("web", three);
    await admin.sourceIs(SourceState.SOURCE_STATE_LIVE);
    await admin.settles("three");
    expect(await second.metric("pilotfish_discovery_saved")).toBe(0);
  }, 40_000);

  it("refuses a damaged list with a warning and starts all the same", async () => {
    stage = await Stage.openWithConsul();
    const [one] = await stage.backends("one");
    if (one === undefined) throw new Error("no backend");
    const stateDir = join(stage.folder, "state");
    const process = { stateDir, consul: stage.consulConfig };
    const first = await stage.sidecarFor("web", { process });
    const folder = join(stateDir, "lists");
    await until(
      () =>
        readdir(folder).then(
          (names) => names.includes("web.0.json"),
          () => false,
        ),
      10_000,
      "a file",
    );
    first.signal("SIGTERM");
    await first.ended;
    await writeFile(join(folder, "web.0.json"), '{"kind":"endpoints","vers');
    await stage.consul.kill();
    const second = await stage.sidecarFor("web", { process: { ...process, startDeadline: "1500ms" } });
    expect(second.log.some(({ msg }) => msg === "kept state refused, starting without it")).toBe(true);
    expect((await ask(second.port())).status).toBe(503);
    await stage.consul.restart();
    await stage.register("web", one);
    await stage.admin(second).settles("one");
  }, 40_000);
});
