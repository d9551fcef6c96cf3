import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "pilotfish-generated-"));
afterAll(() => rmSync(fresh, { recursive: true, force: true }));

function filesUnder(folder: string): ReadonlyMap<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

describe("src/admin/generated", () => {
  it("is what proto/generate.mjs makes of the proto files", () => {
    execFileSync(process.execPath, [join(root, "proto/generate.mjs"), fresh]);
    const made = filesUnder(fresh);
    const committed = filesUnder(join(root, "src/admin/generated"));
    expect(made.size).toBeGreaterThan(3);
    expect([...committed.keys()]).toEqual([...made.keys()]);
    for (const [name, text] of made)
      expect(committed.get(name) === text, `${name} is out of date`).toBe(true);
  });

  it("comes from proto files that buf lint has nothing against", () => {
    const buf = join(root, "node_modules/.bin/buf");
    expect(execFileSync(buf, ["lint", join(root, "proto")], { encoding: "utf8" })).toBe("");
  });
});
