import type { PoolEvent } from "../core/events.js";
import type { Pool } from "../core/pool.js";
import type { OpenWork } from "./open-work.js";

/** What becomes of open work when checks change their mind about a backend. Read at use. */
export interface MarkedCutRules {
  /** The work of a backend that goes down, or into maint, is cut (HAProxy's `on-marked-down shutdown-sessions`). */
  readonly isCutWhenDown: boolean;
  /** The work of all backups is cut when an active is back (HAProxy's `on-marked-up shutdown-backup-sessions`). */
  readonly areBackupsCutWhenUp: boolean;
}

/** Cuts open work as the rules ask; undefined rules ask for nothing. */
export class MarkedCuts {
  readonly #pool: Pool;
  readonly #work: OpenWork;
  readonly #rules: () => MarkedCutRules | undefined;

  constructor(pool: Pool, work: OpenWork, rules: () => MarkedCutRules | undefined) {
    this.#pool = pool;
    this.#work = work;
    this.#rules = rules;
  }

  /** Of this pool. */
  hear(event: PoolEvent): void {
    if (event.type !== "state-changed") return;
    const { backend, fact, from, to } = event;
    // HAProxy: maint marks it down too.
    if ((fact === "check" && to === "down") || (fact === "admin" && to === "maint")) {
      if (this.#rules()?.isCutWhenDown) this.#work.cut(backend, "marked-down");
      return;
    }
    // HAProxy: a server that is up again by its checks, or leaves maint; no backup itself, and one that can take work.
    const isBack = (fact === "check" && from === "down") || (fact === "admin" && from === "maint");
    const isActive = backend.endpoint.priority === 0;
    if (!isBack || !isActive || !backend.isEligible) return;
    if (this.#rules()?.areBackupsCutWhenUp) this.#cutBackups();
  }

  #cutBackups(): void {
    for (const backend of this.#pool.backends())
      if (backend.endpoint.priority > 0) this.#work.cut(backend, "marked-up");
  }
}
