import type { Backend } from "../core/backend.js";
import { findBackends } from "../core/lookup.js";
import type { Pool } from "../core/pool.js";
import type { StreamMethod } from "./calls.js";
import type { JournalEntry } from "./event-journal.js";
import { eventMessage } from "./event-messages.js";
import { optional } from "./fields.js";
import type { WatchEventsRequest, WatchEventsResponse } from "./generated/pilotfish/admin/v1/admin.js";
import type { Messages } from "./messages.js";
import { poolsNamed } from "./naming.js";
import type { AdminPorts } from "./ports.js";
import { wrongState } from "./refusal.js";
import type { Timestamps } from "./timestamps.js";

/** Backends in one message of the present state, so that no message grows with the pools. */
const PART_SIZE = 100;
/** Events read at a time. */
const READ_SIZE = 100;

/** WatchEvents: the present state, or what happened since a number, then every event. */
export function watchEventsMethod(
  ports: AdminPorts,
  messages: Messages,
  time: Timestamps,
): StreamMethod<WatchEventsRequest, WatchEventsResponse> {
  return async function* watchEvents(request, watcher) {
    const { journal } = ports;
    const pools = poolsNamed(ports.pools, request.pool);
    const filter = filterOf(pools, optional("backend", request.backend));
    let cursor = journal.nextSequence;
    if (request.fromSequence === undefined) {
      yield* presentState(messages, pools, filter, cursor - 1);
    } else {
      cursor = resumeAt(request.fromSequence, journal.nextSequence);
    }
    const stop = journal.onAppend(() => watcher.wake());
    try {
      while (!watcher.isOver) {
        const { gap, entries } = journal.read(cursor, READ_SIZE);
        if (gap !== undefined) {
          const numbers = { first: BigInt(gap.first), last: BigInt(gap.last) };
          cursor = gap.last + 1;
          yield { sequence: numbers.last, content: { $case: "gap", value: numbers } };
          // What was read may be outrun while the reader takes the message: read anew.
          continue;
        }
        for (const entry of entries) {
          cursor = entry.sequence + 1;
          if (!filter.passes(entry)) continue;
          const event = eventMessage(entry, time);
          yield { sequence: BigInt(entry.sequence), content: { $case: "event", value: event } };
        }
        if (cursor === journal.nextSequence) await watcher.pause(undefined);
      }
    } finally {
      stop();
    }
  };
}

/** @throws AdminRefusal FAILED_PRECONDITION when the number lies ahead. */
function resumeAt(from: bigint, next: number): number {
  if (from > BigInt(next)) {
    throw wrongState(
      `from_sequence: ${from} lies ahead of the next event, ${next}: the proxy was restarted; begin without it`,
    );
  }
  return Math.max(1, Number(from));
}

interface Filter {
  passes(entry: JournalEntry): boolean;
  backendsOf(pool: Pool): readonly Backend[];
}

/** A backend may be named before it is there, so its names are compared with each event. */
function filterOf(pools: readonly Pool[], backend: string | undefined): Filter {
  const names = new Set(pools.map(({ name }) => name));
  return {
    passes: (entry) => {
      if (!names.has(entry.pool)) return false;
      if (backend === undefined) return true;
      if (!("backend" in entry.event) || entry.endpoint === undefined) return false;
      const { endpoint, event } = entry;
      return [event.backend.id, event.backend.address, endpoint.key, endpoint.id].includes(backend);
    },
    backendsOf: (pool) => {
      if (backend === undefined) return [...pool.backends()];
      const found = findBackends(pool, backend);
      return found.kind === "found" ? found.backends : [];
    },
  };
}

function* presentState(
  messages: Messages,
  pools: readonly Pool[],
  filter: Filter,
  sequence: number,
): Generator<WatchEventsResponse, void, void> {
  const places = pools.flatMap((pool) => filter.backendsOf(pool).map((backend) => ({ pool, backend })));
  let at = 0;
  do {
    const part = places
      .slice(at, at + PART_SIZE)
      .filter(({ pool, backend }) => pool.backend(backend.id) === backend);
    const value = {
      pools: at === 0 ? pools.map((pool) => messages.pool(pool)) : [],
      backends: part.map(({ pool, backend }) => messages.backend(pool, backend)),
      complete: at + PART_SIZE >= places.length,
    };
    at += PART_SIZE;
    yield { sequence: BigInt(sequence), content: { $case: "present", value } };
  } while (at < places.length);
}
