import type { Backend } from "../core/backend.js";

/** Why open work is ended before its time. */
export type CutCause = "cut" | "marked-down" | "marked-up";

/** Something under way on a backend: an exchange's attempt or a tunnel. */
export interface Cuttable {
  readonly kind: "request" | "tunnel";
  /** Ends it now. It removes itself from the open work, as in any other end. */
  cut(cause: CutCause): void;
}

/** What is open on a backend. */
export interface OpenCount {
  readonly requests: number;
  readonly tunnels: number;
}

/**
 * Request path. What is under way on the backends of one pool, so that it can be counted and, at the end of a
 * drain, cut.
 */
export class OpenWork {
  /** Weak, so that a backend that was removed takes its empty set with it. */
  readonly #byBackend = new WeakMap<Backend, Set<Cuttable>>();
  #size = 0;

  /** Everything open in the pool. */
  get size(): number {
    return this.#size;
  }

  add(backend: Backend, work: Cuttable): void {
    let open = this.#byBackend.get(backend);
    if (open === undefined) {
      open = new Set();
      this.#byBackend.set(backend, open);
    }
    open.add(work);
    this.#size++;
  }

  /** Harmless when it was removed before. */
  remove(backend: Backend, work: Cuttable): void {
    if (this.#byBackend.get(backend)?.delete(work)) this.#size--;
  }

  count(backend: Backend): OpenCount {
    let requests = 0;
    let tunnels = 0;
    for (const { kind } of this.#byBackend.get(backend) ?? NOTHING) {
      if (kind === "request") requests++;
      else tunnels++;
    }
    return { requests, tunnels };
  }

  /** Ends everything open on a backend; answers how much that was. */
  cut(backend: Backend, cause: CutCause): number {
    const open = [...(this.#byBackend.get(backend) ?? NOTHING)];
    for (const work of open) work.cut(cause);
    return open.length;
  }
}

const NOTHING: ReadonlySet<Cuttable> = new Set();
