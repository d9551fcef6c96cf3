import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { StateFile } from "../../../src/platform/state-file.js";
import { ManualClock } from "../../support/manual-clock.js";

async function scene() {
  const folder = await mkdtemp(join(tmpdir(), "pilotfish-state-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const warnings: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    error: () => {},
    warn: (fields: object, message: string) => {
      const { err } = fields as { err?: Error };
      warnings.push(`${message}: ${err?.message ?? ""}`);
    },
  };
  const clock = new ManualClock();
  const path = join(folder, "kept", "overrides.json");
  const open = (changes: { kind?: string; version?: number; path?: string } = {}) =>
    new StateFile({ path, kind: "overrides", version: 1, clock, log, ...changes });
  return { folder, path, clock, warnings, open };
}

async function saved(file: StateFile, data: unknown): Promise<void> {
  file.save(() => data);
  await file.flush();
}

it("gives back what was written, and when, to a later process", async () => {
  const { open, clock, path } = await scene();
  await saved(open(), [{ a: 1 }]);
  expect(await open().read()).toEqual({ data: [{ a: 1 }], savedWallMs: clock.wallMs() });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
});

it("has nothing to give where nothing was written, without a word", async () => {
  const { open, warnings } = await scene();
  expect(await open().read()).toBeUndefined();
  expect(warnings).toEqual([]);
});

it("writes the latest only, one after the other, and leaves no draft behind", async () => {
  const { open, path } = await scene();
  const file = open();
  const written: number[] = [];
  for (let round = 1; round <= 20; round++) {
    file.save(() => {
      written.push(round);
      return round;
    });
  }
  await file.flush();
  expect((await open().read())?.data).toBe(20);
  expect(written).toEqual([1, 20]);
  expect(await readdir(join(path, ".."))).toEqual(["overrides.json"]);
});

it.each([
  ["is no JSON", "{", /JSON/],
  ["is none of ours", '{"a":1}', /no state of pilotfish/],
  [
    "holds something else",
    '{"kind":"lists","version":1,"savedWallMs":1,"data":[]}',
    /holds lists, not overrides/,
  ],
  [
    "has another version",
    '{"kind":"overrides","version":2,"savedWallMs":1,"data":[]}',
    /version is 2, not 1/,
  ],
])("moves a file aside that %s", async (_what, text, why) => {
  const { open, path, warnings } = await scene();
  await saved(open(), []);
  await writeFile(path, text);
  expect(await open().read()).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(why)]);
  expect(await readFile(`${path}.refused`, "utf8")).toBe(text);
  expect(await open().read()).toBeUndefined();
  expect(warnings).toHaveLength(1);
});

it("believes no file that others may write, and no link", async () => {
  const { open, path, warnings, folder } = await scene();
  await saved(open(), []);
  await chmod(path, 0o666);
  expect(await open().read()).toBeUndefined();
  const link = join(folder, "link.json");
  await symlink(`${path}.refused`, link);
  expect(await open({ path: link }).read()).toBeUndefined();
  expect(warnings).toEqual([
    expect.stringMatching(/others may write it/),
    expect.stringMatching(/no regular file/),
  ]);
});

it("tries again after a write that failed, just after five seconds and not before", async () => {
  const { open, folder, clock, warnings } = await scene();
  // A file stands where the folder should be.
  const path = join(folder, "blocked", "overrides.json");
  await writeFile(join(folder, "blocked"), "");
  const file = open({ path });
  await saved(file, "first");
  expect(warnings).toEqual([expect.stringMatching(/cannot be kept/)]);
  await rm(join(folder, "blocked"));
  await clock.advance(4_999);
  expect(await open({ path }).read()).toBeUndefined();
  await clock.advance(1);
  await file.flush();
  expect((await open({ path }).read())?.data).toBe("first");
});
