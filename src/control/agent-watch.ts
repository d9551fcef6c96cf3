import type { AgentCheckConfig } from "../config/health-model.js";
import type { Backend } from "../core/backend.js";
import type { OverrideTerms } from "../core/override.js";
import type { Pool } from "../core/pool.js";
import { parseAgentReply } from "./agent-reply.js";
import { CheckLoop, type CheckParts } from "./check-loop.js";
import type { Probe, ProbeResult } from "./probe.js";
import type { BackendWatch, WatchKind } from "./prober.js";

const OWNER = "agent-check";

/**
 * HAProxy's agent check of a pool's backends, beside their health check. What the agent says becomes overrides of
 * origin AGENT, which only the agent undoes. An agent that cannot be reached changes nothing.
 *
 * A backend that the agent itself has put in maint is asked on, since only the agent leads it out; one that somebody
 * stronger has put there is left alone.
 */
export class AgentWatches implements WatchKind {
  readonly source = "agent";
  readonly #pool: Pool;
  readonly #probe: Probe;
  readonly #options: AgentCheckConfig;
  readonly #parts: CheckParts;

  constructor(pool: Pool, probe: Probe, options: AgentCheckConfig, parts: CheckParts) {
    this.#pool = pool;
    this.#probe = probe;
    this.#options = options;
    this.#parts = parts;
  }

  wants(backend: Backend): boolean {
    if (backend.facts.admin.state !== "maint") return true;
    return this.#pool.overrides.of(backend.endpoint.key).admin?.origin === "agent";
  }

  begin(backend: Backend): BackendWatch {
    const loop = new CheckLoop(backend, this.#probe, this.#options.target, this.#parts, (result) => {
      this.#settle(backend, result);
      loop.next(this.#options.intervalMs);
    });
    loop.begin(this.#options.intervalMs);
    return loop;
  }

  /** What it said stays in force. */
  pause(): void {}

  end(backend: Backend): void {
    const { clock } = this.#parts;
    const terms = termsOf("no agent checks any more");
    backend.reports.agent = undefined;
    for (const [origin] of this.#pool.overrides.layers(backend.endpoint.key)) {
      if (origin !== "agent") continue;
      this.#pool.setWeight(backend, undefined, terms, clock.nowMs());
      this.#pool.setLimit(backend, undefined, terms, clock.nowMs());
      this.#pool.setAdmin(backend, "ready", terms, clock.nowMs());
    }
    this.#pool.setCheck(backend, "unchecked", terms.reason, clock.nowMs(), "agent");
  }

  #settle(backend: Backend, { passed, code, detail, durationMs, text = "" }: ProbeResult): void {
    const nowMs = this.#parts.clock.nowMs();
    const previous = backend.reports.agent?.text ?? "";
    backend.reports.agent = { text: passed ? text : previous, code, detail, durationMs, atMs: nowMs };
    if (passed) this.#apply(backend, text, nowMs);
  }

  #apply(backend: Backend, line: string, nowMs: number): void {
    const { weight, limit, admin, verdict, reason } = parseAgentReply(line);
    const terms = termsOf(line);
    const pool = this.#pool;
    const said = pool.overrides.layers(backend.endpoint.key).find(([origin]) => origin === "agent")?.[1];
    // Said again it changes nothing, and the time since it holds stays.
    if (weight !== undefined && !isSameWeight(weight, said?.weight?.value))
      pool.setWeight(backend, weight, terms, nowMs);
    if (limit !== undefined && limit !== said?.limit?.value) pool.setLimit(backend, limit, terms, nowMs);
    if (admin !== undefined && admin !== (said?.admin?.value ?? "ready"))
      pool.setAdmin(backend, admin, terms, nowMs);
    if (verdict !== undefined) {
      const why = `agent says ${verdict}${reason === "" ? "" : `: ${reason}`}`;
      pool.setCheck(backend, verdict, why, nowMs, "agent");
    }
  }
}

function termsOf(reason: string): OverrideTerms {
  return { origin: "agent", owner: OWNER, reason, ttlMs: undefined };
}

function isSameWeight(a: object, b: object | undefined): boolean {
  return b !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
