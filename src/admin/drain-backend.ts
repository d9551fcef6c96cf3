import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import type { Log } from "../platform/log.js";
import { boundEntries } from "./affinity-messages.js";
import type { StreamMethod, Watcher } from "./calls.js";
import { refuseFull, said } from "./changes.js";
import { LONGEST_DEADLINE_MS, operatorTerms, positiveDuration } from "./fields.js";
import {
  type DrainBackendRequest,
  type DrainBackendResponse,
  type DrainingBackend,
  DrainProgress,
} from "./generated/pilotfish/admin/v1/admin.js";
import { backendNamed } from "./naming.js";
import type { AdminPorts } from "./ports.js";
import { invalid } from "./refusal.js";
import type { Timestamps } from "./timestamps.js";

/** How often the counts are looked at. */
const LOOK_MS = 100;
/** A message is sent at least this often. */
const REPORT_MS = 1000;
/** How long connections that were cut may take to close before the last message. */
const CUT_GRACE_MS = 1000;

interface Draining {
  readonly pool: Pool;
  readonly backend: Backend;
}

/** The numbers of one look. */
interface Look {
  readonly backends: DrainingBackend[];
  readonly inFlight: number;
  readonly requests: number;
  readonly tunnels: number;
  readonly boundEntries: number;
}

/** How a drain ends. */
interface Ending {
  /** Undefined: no deadline. */
  readonly untilMs: number | undefined;
  /** When the last message is sent whatever is left; infinite without a deadline. */
  readonly lastLookMs: number;
  readonly isCutting: boolean;
  /** Bound clients are not waited for. */
  readonly isBoundIgnored: boolean;
}

/** DrainBackend: the drain is in force before the first message and stays when the stream ends. */
export function drainBackendMethod(
  ports: AdminPorts,
  time: Timestamps,
  log: Log,
): StreamMethod<DrainBackendRequest, DrainBackendResponse> {
  return async function* drainBackend(request, watcher) {
    const deadlineMs = positiveDuration("deadline", request.deadline, LONGEST_DEADLINE_MS);
    if (request.cutAtDeadline && deadlineMs === undefined) {
      throw invalid("cut_at_deadline", "needs a deadline");
    }
    const terms = operatorTerms(request);
    const named = backendNamed(ports.pools, request);
    refuseFull(named);
    const nowMs = ports.clock.nowMs();
    const untilMs = deadlineMs === undefined ? undefined : nowMs + deadlineMs;
    const draining = named.flatMap(({ pool, backends }) => backends.map((backend) => ({ pool, backend })));
    for (const { pool, backend } of draining) {
      pool.setAdmin(backend, "drain", terms, nowMs);
      // The pool keeps this deadline itself, so it also holds when the client of this stream has gone. One that
      // discovery dropped has a deadline of its own, which may only come sooner.
      const leavingMs = backend.isGone ? backend.drainUntilMs : undefined;
      const cutMs = request.cutAtDeadline ? untilMs : undefined;
      pool.setDrainDeadline(backend, soonest(leavingMs, cutMs));
    }
    log.info({ ...said(named, terms), deadlineMs, cut: request.cutAtDeadline }, "operator drains a backend");
    const isCutting = request.cutAtDeadline;
    const lastLookMs =
      untilMs === undefined ? Number.POSITIVE_INFINITY : untilMs + (isCutting ? CUT_GRACE_MS : 0);
    const ending = { untilMs, lastLookMs, isCutting, isBoundIgnored: request.ignoreBound };
    yield* report(ports, time, watcher, draining, ending);
  };
}

async function* report(
  ports: AdminPorts,
  time: Timestamps,
  watcher: Watcher,
  draining: readonly Draining[],
  ending: Ending,
): AsyncGenerator<DrainBackendResponse, void, void> {
  let sentMs = Number.NEGATIVE_INFINITY;
  let sent: Look | undefined;
  while (!watcher.isOver) {
    const nowMs = ports.clock.nowMs();
    const look = lookAt(ports, draining, nowMs);
    const progress = progressOf(draining, look, nowMs, ending);
    const isLast = progress !== DrainProgress.DRAIN_PROGRESS_DRAINING;
    if (isLast || sent === undefined || isDifferent(look, sent) || nowMs - sentMs >= REPORT_MS) {
      const message = `${wordsOf(progress, look)}${cookieWords(ports, draining)}`;
      yield { ...look, progress, until: time.at(ending.untilMs), message };
      sent = look;
      sentMs = nowMs;
    }
    if (isLast) return;
    await watcher.pause(Math.min(LOOK_MS, Math.max(1, ending.lastLookMs - nowMs)));
  }
}

function lookAt(ports: AdminPorts, draining: readonly Draining[], nowMs: number): Look {
  const backends = draining.map(({ pool, backend }) => {
    const removed = isRemoved(pool, backend);
    const open = removed ? { requests: 0, tunnels: 0 } : ports.openWork(backend);
    const inFlight = removed ? 0 : backend.inFlight;
    const bound = boundEntries(ports.affinity(pool.name), backend, nowMs);
    return {
      pool: pool.name,
      backend: backend.id,
      inFlight,
      ...open,
      removed,
      // Whoever is bound to a backend that is gone goes elsewhere.
      boundEntries: removed && bound !== undefined ? 0 : bound,
    };
  });
  const sum = (numberOf: (each: DrainingBackend) => number) =>
    backends.reduce((total, each) => total + numberOf(each), 0);
  return {
    backends,
    inFlight: sum((each) => each.inFlight),
    requests: sum((each) => each.requests),
    tunnels: sum((each) => each.tunnels),
    boundEntries: sum((each) => each.boundEntries ?? 0),
  };
}

function progressOf(
  draining: readonly Draining[],
  look: Look,
  nowMs: number,
  { untilMs, lastLookMs, isCutting, isBoundIgnored }: Ending,
): DrainProgress {
  const isTakenBack = draining.some(
    ({ pool, backend }) => !isRemoved(pool, backend) && backend.facts.admin.state === "ready",
  );
  if (isTakenBack) return DrainProgress.DRAIN_PROGRESS_TAKEN_BACK;
  const isPastDeadline = untilMs !== undefined && nowMs >= untilMs;
  if (look.inFlight === 0 && (isBoundIgnored || look.boundEntries === 0)) {
    return isPastDeadline && isCutting
      ? DrainProgress.DRAIN_PROGRESS_CUT
      : DrainProgress.DRAIN_PROGRESS_EMPTY;
  }
  if (nowMs < lastLookMs) return DrainProgress.DRAIN_PROGRESS_DRAINING;
  return isCutting ? DrainProgress.DRAIN_PROGRESS_CUT : DrainProgress.DRAIN_PROGRESS_DEADLINE;
}

function wordsOf(progress: DrainProgress, look: Look): string {
  const bound = look.boundEntries === 0 ? "" : ` and ${look.boundEntries} bound by a table`;
  const left = `${look.inFlight} in flight (${look.requests} requests, ${look.tunnels} tunnels)${bound}`;
  const stays = "the drain stays in force until it is taken back with SetState READY or expires";
  switch (progress) {
    case DrainProgress.DRAIN_PROGRESS_EMPTY:
      return look.boundEntries === 0
        ? `nothing is left; ${stays}`
        : `nothing is open, ${look.boundEntries} are bound to it by a table and come back to it; ${stays}`;
    case DrainProgress.DRAIN_PROGRESS_CUT:
      return `the deadline has come and what was open was cut, ${left} left; ${stays}`;
    case DrainProgress.DRAIN_PROGRESS_DEADLINE:
      return `the deadline has come with ${left}, which go on; ${stays}`;
    case DrainProgress.DRAIN_PROGRESS_TAKEN_BACK:
      return `the drain was taken back or expired with ${left}`;
    default:
      return `${left} left`;
  }
}

/** Who holds a cookie is not known; only who came. */
function cookieWords(ports: AdminPorts, draining: readonly Draining[]): string {
  const isByCookie = draining.some(({ pool }) => ports.affinity(pool.name)?.kind === "cookie");
  if (!isByCookie) return "";
  const lastMs = Math.max(...draining.map(({ backend }) => backend.lastKeptMs ?? Number.NEGATIVE_INFINITY));
  const seconds = Math.floor((ports.clock.nowMs() - lastMs) / 1000);
  const last = Number.isFinite(lastMs) ? `the last one came ${seconds} s ago` : "none has come yet";
  return `; clients with a cookie may come back, ${last}`;
}

function soonest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

function isRemoved(pool: Pool, backend: Backend): boolean {
  return pool.backend(backend.id) !== backend;
}

function isDifferent(a: Look, b: Look): boolean {
  return (
    a.inFlight !== b.inFlight ||
    a.requests !== b.requests ||
    a.tunnels !== b.tunnels ||
    a.boundEntries !== b.boundEntries ||
    a.backends.some((backend, index) => backend.removed !== b.backends[index]?.removed)
  );
}
