import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const MODULE = new URL("../../../dist/platform/young-heap.js", import.meta.url).href;

/** Makes garbage of which enough lives on to let the young heap grow, and tells how large it came to be. */
const PROGRAM = `
import { getHeapSpaceStatistics } from "node:v8";
const { keepYoungHeapSmall, letYoungHeapGrow } = await import(${JSON.stringify(MODULE)});
const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size;
let largest = 0;
function work() {
  largest = 0;
  let kept = [];
  for (let i = 0; i < 400_000; i++) {
    kept.push({ i, text: [i, i, i] });
    if (kept.length > 20_000) kept = [];
    if (i % 10_000 === 0) largest = Math.max(largest, size());
  }
  return largest;
}
keepYoungHeapSmall();
const small = work();
letYoungHeapGrow();
console.log(JSON.stringify({ small, grown: work() }));
`;

it("stays as small as it began until it may grow", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", PROGRAM]);
  const { small, grown } = JSON.parse(stdout);
  expect(small).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect(grown).toBeGreaterThan(2 * small);
});
