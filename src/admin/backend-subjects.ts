import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import { label } from "./exposition.js";

/** The backends of a pool, each with its labels. */
export function backendSubjects(pool: Pool): (readonly [backend: Backend, labels: string])[] {
  const inPool = label("pool", pool.name);
  return [...pool.backends()].map((backend) => {
    const labels = `${inPool},${label("backend", backend.id)},${label("id", backend.endpoint.id)}`;
    return [backend, labels];
  });
}
