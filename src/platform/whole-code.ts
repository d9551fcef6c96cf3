import { setFlagsFromString } from "node:v8";

/**
 * Loads modules with all their functions compiled, and keeps what is compiled for good. The runtime compiles a function
 * at its first call otherwise, and forgets it when it was not called for a while: the first failure in a long time
 * would be found out by code that is compiled function by function while requests wait.
 */
export async function loadWhole(load: () => Promise<unknown>): Promise<void> {
  setFlagsFromString("--no-flush-bytecode");
  setFlagsFromString("--no-lazy");
  try {
    await load();
  } finally {
    setFlagsFromString("--lazy");
  }
}
