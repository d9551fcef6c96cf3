import { getHeapCodeStatistics } from "node:v8";
import { describe, expect, it } from "vitest";
import { loadWhole } from "../../../src/platform/whole-code.js";

/** Bytes of compiled code that come with a module of functions which nobody calls. */
async function compiledWith(load: (url: string) => Promise<unknown>, name: string): Promise<number> {
  const lines = Array.from(
    { length: 200 },
    (_, index) =>
      `export function f${index}(a) { let s = 0; for (const x of a) s += x * ${index}; return s; }`,
  );
  const before = getHeapCodeStatistics().bytecode_and_metadata_size;
  await load(`data:text/javascript,${encodeURIComponent(`${lines.join("\n")}\n// ${name}`)}`);
  return getHeapCodeStatistics().bytecode_and_metadata_size - before;
}

describe("modules loaded whole", () => {
  it("have their functions compiled before anybody calls them, and later modules do not", async () => {
    const load = (url: string) => import(/* @vite-ignore */ url);
    const whole = await compiledWith((url) => loadWhole(() => load(url)), "whole");
    const lazy = await compiledWith(load, "lazy");
    expect(whole).toBeGreaterThan(200 * 50);
    expect(lazy).toBeLessThan(whole / 2);
  });

  it("leave the runtime as it was when one cannot be loaded", async () => {
    const broken = "data:text/javascript,throw new Error('no')";
    await expect(loadWhole(() => import(/* @vite-ignore */ broken))).rejects.toThrow("no");
    const lazy = await compiledWith((url) => import(/* @vite-ignore */ url), "after a failure");
    expect(lazy).toBeLessThan(200 * 50);
  });
});
