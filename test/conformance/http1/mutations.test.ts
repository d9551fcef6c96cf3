import { expect, test } from "vitest";
import { staleMutations } from "./stale-mutations.mjs";

test("every mutation finds the one place it breaks", () => {
  expect(staleMutations()).toEqual([]);
});
