import type { ConfigProblem, ReloadReport } from "./admin/ports.js";
import { type ConfigChange, differenceOf, obstacleTo, touches } from "./config/difference.js";
import type { LoadResult } from "./config/load.js";
import type { Config } from "./config/model.js";
import type { Listeners } from "./listeners.js";
import type { Clock } from "./platform/clock.js";
import { firstOf } from "./platform/first-of.js";
import type { Log } from "./platform/log.js";
import type { PreparedChange } from "./proxy/listener.js";
import type { Upstream } from "./upstream.js";
import type { Upstreams } from "./upstreams.js";

/** The running program, as far as a reload changes it. */
export interface Reloadable {
  /** Undefined where there is nothing to read again. */
  readonly read: (() => Promise<LoadResult>) | undefined;
  /** In force now. */
  readonly config: () => Config;
  /** Whether it is up: before and after that there is nothing to change. */
  readonly isReady: () => boolean;
  readonly upstreams: Upstreams;
  readonly listeners: () => Listeners | undefined;
  /** Opens the admin addresses of another configuration. */
  readonly openAdmin: (config: Config["admin"]) => Promise<PreparedChange>;
  /** Opens the place of another access log; answers how to put it in use. */
  readonly openAccessLog: (config: Config["log"]["access"]) => Promise<() => void> | undefined;
  /** The new configuration is in force: takes over what concerns the process as a whole. */
  readonly accept: (config: Config, changes: readonly ConfigChange[]) => Promise<void>;
}

/** More changes than this are counted rather than logged. */
const LOGGED_CHANGES_MAX = 50;

/**
 * Puts another configuration in force while the program runs, whole or not at all: it is read and checked, compared
 * with the one in force, and everything that can fail (addresses, files) is tried before anything changes. No
 * connection is dropped and nothing that was learnt is forgotten. One at a time.
 */
export class Reloader {
  readonly #program: Reloadable;
  readonly #clock: Clock;
  readonly #log: Log;
  #last: Promise<unknown> = Promise.resolve();

  constructor(program: Reloadable, clock: Clock, log: Log) {
    this.#program = program;
    this.#clock = clock;
    this.#log = log;
  }

  /** Never rejects: what stands in the way is in the report and in the log. */
  reload({ isDryRun }: { readonly isDryRun: boolean }): Promise<ReloadReport> {
    const report = this.#last.then(() => this.#reload(isDryRun));
    this.#last = report;
    return report;
  }

  async #reload(isDryRun: boolean): Promise<ReloadReport> {
    const startedMs = this.#clock.nowMs();
    let report: ReloadReport;
    try {
      report = await this.#compareAndApply(isDryRun);
    } catch (error) {
      report = refused([problemOf(error)]);
    }
    const { problems, changes, isApplied } = report;
    const fields = { changes: shownOf(changes), durationMs: Math.round(this.#clock.nowMs() - startedMs) };
    if (problems.length > 0) this.#log.warn({ problems }, "reload refused, nothing changed");
    else if (isApplied) this.#log.info(fields, "reloaded");
    else this.#log.info(fields, "reload tried without effect");
    return report;
  }

  async #compareAndApply(isDryRun: boolean): Promise<ReloadReport> {
    const { read, isReady } = this.#program;
    if (read === undefined) return refused([problemOf(new Error("there is no file to read again"))]);
    if (!isReady()) return refused([problemOf(new Error("the proxy is starting or stopping"))]);
    const result = await read();
    if (!result.ok) return refused(result.problems);
    const changes = differenceOf(this.#program.config(), result.config);
    const obstacles = changes.flatMap((change) => {
      const message = obstacleTo(change);
      return message === undefined
        ? []
        : [{ line: undefined, column: undefined, path: change.path, message }];
    });
    if (obstacles.length > 0) return { problems: obstacles, changes, isApplied: false };
    if (isDryRun) return { problems: [], changes, isApplied: false };
    const problem = await this.#apply(result.config, changes);
    if (problem !== undefined) return { problems: [problem], changes, isApplied: false };
    return { problems: [], changes, isApplied: true };
  }

  /** Answers what could not be opened; nothing has changed then. */
  async #apply(config: Config, changes: readonly ConfigChange[]): Promise<ConfigProblem | undefined> {
    const { upstreams, listeners, openAdmin, openAccessLog, accept } = this.#program;
    const previous = this.#program.config();
    const known = new Set(previous.pools.map(({ name }) => name));
    const added = config.pools
      .filter(({ name }) => !known.has(name))
      .map((pool) => upstreams.add(pool, config.consul));
    const prepared: PreparedChange[] = [];
    let useAccessLog: (() => void) | undefined;
    try {
      await this.#firstListsOf(added, config.startDeadlineMs);
      const opened = await listeners()?.prepare(config);
      if (opened !== undefined) prepared.push(opened);
      if (touches(changes, "admin")) prepared.push(await openAdmin(config.admin));
      if (touches(changes, "log.access")) useAccessLog = await openAccessLog(config.log.access);
    } catch (error) {
      for (const each of prepared) each.cancel();
      for (const { config: pool } of added) upstreams.remove(pool.name);
      return problemOf(error);
    }
    const isConsulChanged = touches(changes, "consul");
    for (const pool of config.pools) {
      if (!known.has(pool.name)) continue;
      const usesConsul = isConsulChanged && pool.discovery.some(({ type }) => type === "consul");
      if (usesConsul || touches(changes, `pools[${pool.name}]`)) {
        upstreams.reconfigure(pool, config.consul, usesConsul);
      }
    }
    for (const each of prepared) each.commit();
    useAccessLog?.();
    const names = new Set(config.pools.map(({ name }) => name));
    upstreams.limitChecks(config.maxChecks);
    for (const name of known) if (!names.has(name)) upstreams.remove(name);
    await accept(config, changes);
    return undefined;
  }

  /** New pools have their backends before traffic comes, unless that takes too long. */
  async #firstListsOf(added: readonly Upstream[], deadlineMs: number): Promise<void> {
    if (added.length === 0) return;
    const firstLists = Promise.all(added.map(({ keeper }) => keeper.start()));
    await firstOf(firstLists, deadlineMs, this.#clock);
  }
}

function refused(problems: readonly ConfigProblem[]): ReloadReport {
  return { problems, changes: [], isApplied: false };
}

function problemOf(error: unknown): ConfigProblem {
  const message = error instanceof Error ? error.message : String(error);
  return { line: undefined, column: undefined, path: "", message };
}

function shownOf(changes: readonly ConfigChange[]): readonly string[] {
  const lines = changes
    .slice(0, LOGGED_CHANGES_MAX)
    .map(({ path, from, to }) => `${path}: ${from ?? "(none)"} -> ${to ?? "(none)"}`);
  const rest = changes.length - lines.length;
  return rest > 0 ? [...lines, `and ${rest} more`] : lines;
}
