import { existsSync, readFileSync } from "node:fs";
import { MUTATIONS } from "./mutations.mjs";

const engine = new URL("../../../src/proxy/http1/", import.meta.url);

/** The mutations whose text stands nowhere or more than once in their file, a line each: they would prove nothing. */
export function staleMutations() {
  return MUTATIONS.flatMap(([file, from], number) => {
    const path = new URL(file, engine);
    const found = existsSync(path) ? readFileSync(path, "utf8").split(from).length - 1 : 0;
    return found === 1 ? [] : [`${number} ${file}: ${from.trim()} (found ${found} times)`];
  });
}
