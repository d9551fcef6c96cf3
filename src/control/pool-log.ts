import type { PoolEvent } from "../core/events.js";
import type { Pool } from "../core/pool.js";
import type { Log } from "../platform/log.js";

/** Writes what happens in a pool to the log, one line per event. Answers how to stop. */
export function logPoolEvents(pool: Pool, log: Log): () => void {
  return pool.subscribe((event) => logEvent(event, log));
}

function logEvent(event: PoolEvent, log: Log): void {
  switch (event.type) {
    case "usable-changed":
      if (event.isUsable) log.info({}, "pool has usable backends");
      else log.error({}, "pool has no usable backend");
      return;
    case "tier-changed":
      log.warn({ from: event.from, to: event.to }, "another tier takes the work");
      return;
    case "panic-changed": {
      const fields = { healthy: event.healthy, usable: event.usable };
      if (event.isPanicking) log.error(fields, "panic, too few healthy backends, health is ignored");
      else log.info(fields, "panic is over");
      return;
    }
    case "backend-added":
      log.info({ backend: event.backend.id, weight: event.backend.weight }, "backend added");
      return;
    case "backend-leaving":
      log.info(
        { backend: event.backend.id, inFlight: event.backend.inFlight },
        "backend left discovery, draining",
      );
      return;
    case "backend-returned":
      log.info({ backend: event.backend.id }, "backend returned");
      return;
    case "backend-removed":
      log.info({ backend: event.backend.id }, "backend removed");
      return;
    case "endpoint-changed":
      log.debug({ backend: event.backend.id }, "backend description changed");
      return;
    case "state-changed": {
      const { fact, from, to, why } = event;
      const fields = { backend: event.backend.id, fact, from, to, why };
      if (to === "down" || to === "ejected") log.warn(fields, "backend state changed");
      else log.info(fields, "backend state changed");
      return;
    }
    case "weight-changed":
      log.info(
        { backend: event.backend.id, from: event.from, to: event.to, why: event.why },
        "backend weight changed",
      );
      return;
    case "ejection-overflowed":
      log.warn({ backend: event.backend.id, cause: event.cause }, "ejection held back by the cap");
      return;
    case "drain-deadline":
      log.warn(
        { backend: event.backend.id, inFlight: event.backend.inFlight },
        "drain deadline passed, cutting open work",
      );
      return;
  }
}
