import type { Backend, CheckSource } from "../core/backend.js";
import type { PoolEvent } from "../core/events.js";
import type { Pool } from "../core/pool.js";

/** One check of one backend, from its first probe on. */
export interface BackendWatch {
  /** Nothing is said afterwards. */
  stop(): void;
}

/** One kind of check that a pool's backends have. */
export interface WatchKind {
  readonly source: CheckSource;
  /** Whether a backend that is listed is to be checked as it stands now. */
  wants(backend: Backend): boolean;
  begin(backend: Backend): BackendWatch;
  /** It stays in the pool but is checked no more for now: what was said is void. */
  pause(backend: Backend, why: string): void;
  /** The kind is given up for good. */
  end(backend: Backend): void;
}

/** Runs the active checks of a pool: on every backend that is listed and not kept from being checked. */
export class Prober {
  readonly #pool: Pool;
  readonly #kinds: readonly WatchKind[];
  readonly #watches = new Map<Backend, Map<WatchKind, BackendWatch>>();
  #unsubscribe: (() => void) | undefined;

  constructor(pool: Pool, kinds: readonly WatchKind[]) {
    this.#pool = pool;
    this.#kinds = kinds;
  }

  start(): void {
    this.#unsubscribe = this.#pool.subscribe((event) => this.#onEvent(event));
    for (const backend of this.#pool.backends()) this.#review(backend, "");
  }

  /** What the checks said stays. */
  stop(): void {
    this.#unsubscribe?.();
    for (const backend of [...this.#watches.keys()]) this.#forget(backend);
  }

  /** Gives way to other checks, or none: what they will not say anew is taken back. */
  yieldTo(next: Prober | undefined): void {
    this.stop();
    for (const kind of this.#kinds) {
      if (next?.has(kind.source)) continue;
      for (const backend of this.#pool.backends()) kind.end(backend);
    }
  }

  /** Whether it has a check of this kind. */
  has(source: CheckSource): boolean {
    return this.#kinds.some((kind) => kind.source === source);
  }

  #onEvent(event: PoolEvent): void {
    switch (event.type) {
      case "backend-added":
      case "backend-returned":
        this.#review(event.backend, "");
        return;
      case "backend-leaving":
      case "backend-removed":
        this.#forget(event.backend);
        return;
      case "state-changed":
        if (event.fact === "admin") this.#review(event.backend, event.why);
        return;
      default:
        return;
    }
  }

  #review(backend: Backend, why: string): void {
    if (backend.isGone) return;
    let watches = this.#watches.get(backend);
    if (watches === undefined) {
      watches = new Map();
      this.#watches.set(backend, watches);
    }
    for (const kind of this.#kinds) {
      const watch = watches.get(kind);
      const isWanted = kind.wants(backend);
      if (isWanted && watch === undefined) watches.set(kind, kind.begin(backend));
      if (isWanted || watch === undefined) continue;
      watch.stop();
      watches.delete(kind);
      kind.pause(backend, why);
    }
  }

  #forget(backend: Backend): void {
    for (const watch of this.#watches.get(backend)?.values() ?? []) watch.stop();
    this.#watches.delete(backend);
  }
}
