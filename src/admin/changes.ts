import type { OverrideTerms } from "../core/override.js";
import type { WeightChange } from "../core/weight.js";
import { GREATEST_WEIGHT } from "../core/weight.js";
import type { Log } from "../platform/log.js";
import type { UnaryMethod } from "./calls.js";
import { ADMIN_STATE, nameOf } from "./enums.js";
import { LONGEST_DEADLINE_MS, operatorTerms, positiveDuration, requester, upTo } from "./fields.js";
import type {
  Backend,
  EjectBackendRequest,
  EjectBackendResponse,
  SetStateRequest,
  SetStateResponse,
  SetWeightRequest,
  SetWeightResponse,
  UnejectBackendRequest,
  UnejectBackendResponse,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { Messages } from "./messages.js";
import { backendNamed, type Named } from "./naming.js";
import type { AdminPorts } from "./ports.js";
import { exhausted, invalid, wrongState } from "./refusal.js";

/** Enough to bring a weight of 1 to 256. */
const GREATEST_PERCENT = 100 * GREATEST_WEIGHT;

/** SetWeight, SetState, EjectBackend and UnejectBackend. */
export interface ChangeMethods {
  readonly setWeight: UnaryMethod<SetWeightRequest, SetWeightResponse>;
  readonly setState: UnaryMethod<SetStateRequest, SetStateResponse>;
  readonly ejectBackend: UnaryMethod<EjectBackendRequest, EjectBackendResponse>;
  readonly unejectBackend: UnaryMethod<UnejectBackendRequest, UnejectBackendResponse>;
}

/** Builds the methods that change backends. Everything is checked before anything is done. */
export function changeMethods(ports: AdminPorts, messages: Messages, log: Log): ChangeMethods {
  /** All rows of the identities that were changed, as they are now. */
  const result = (named: readonly Named[]): Backend[] =>
    named.flatMap(({ pool, key }) =>
      [...pool.backends()]
        .filter((backend) => backend.endpoint.key === key)
        .map((backend) => messages.backend(pool, backend)),
    );

  return {
    setWeight: (request) => {
      const change = weightChange(request);
      const terms = operatorTerms(request);
      if (change === undefined && terms.ttlMs !== undefined) {
        throw invalid("ttl", "clear takes an override back, so nothing is left to expire");
      }
      const named = backendNamed(ports.pools, request);
      if (change !== undefined) refuseFull(named);
      const nowMs = ports.clock.nowMs();
      for (const { pool, backends } of named) {
        for (const backend of backends) pool.setWeight(backend, change, terms, nowMs);
      }
      log.info({ ...said(named, terms), change: change ?? "clear" }, "operator set a weight");
      return { backends: result(named) };
    },

    setState: (request) => {
      const state = nameOf(ADMIN_STATE, request.state);
      if (state === undefined) {
        throw invalid("state", "must be ADMIN_STATE_READY, ADMIN_STATE_DRAIN or ADMIN_STATE_MAINT");
      }
      const terms = operatorTerms(request);
      if (state === "ready" && terms.ttlMs !== undefined) {
        throw invalid("ttl", "READY takes an override back, so nothing is left to expire");
      }
      const named = backendNamed(ports.pools, request);
      if (state !== "ready") refuseFull(named);
      const nowMs = ports.clock.nowMs();
      for (const { pool, backends } of named) {
        for (const backend of backends) pool.setAdmin(backend, state, terms, nowMs);
      }
      log.info({ ...said(named, terms), state }, "operator set a state");
      return { backends: result(named) };
    },

    ejectBackend: (request) => {
      const durationMs = positiveDuration("ttl", request.ttl, LONGEST_DEADLINE_MS);
      const asked = requester(request);
      const named = backendNamed(ports.pools, request).map(presentOnly);
      if (!request.force) named.forEach(refuseLastUsable);
      const nowMs = ports.clock.nowMs();
      for (const { pool, backends } of named) {
        for (const backend of backends) pool.eject(backend, durationMs, why(asked), nowMs);
      }
      log.info({ ...said(named, asked), durationMs, force: request.force }, "operator ejected a backend");
      return { backends: result(named) };
    },

    unejectBackend: (request) => {
      const asked = requester(request);
      const named = backendNamed(ports.pools, request);
      const ejected = named.flatMap(({ pool, backends }) =>
        backends
          .filter(({ facts }) => facts.detection.state === "ejected")
          .map((backend) => ({ pool, backend })),
      );
      if (ejected.length === 0) {
        throw wrongState(`"${request.backend}" is not ejected; ListBackends tells why it takes no work`);
      }
      const nowMs = ports.clock.nowMs();
      for (const { pool, backend } of ejected) pool.unEject(backend, why(asked), nowMs);
      log.info(said(named, asked), "operator ended an ejection");
      return { backends: result(named) };
    },
  };
}

/** Refuses what would be one overridden key too many. */
export function refuseFull(named: readonly Named[]): void {
  for (const { pool, key } of named) {
    if (!pool.overrides.canHold(key)) {
      throw exhausted(`pool ${pool.name} holds as many overrides as it may; take some back first`);
    }
  }
}

/** What the log says of a change. */
export function said(
  named: readonly Named[],
  asked: { readonly owner: string; readonly reason: string },
): object {
  return {
    pools: named.map(({ pool }) => pool.name),
    backends: [...new Set(named.map(({ key }) => key))],
    owner: asked.owner,
    reason: asked.reason,
  };
}

function weightChange(request: SetWeightRequest): WeightChange | undefined {
  switch (request.change?.$case) {
    case "weight":
      return { kind: "weight", weight: upTo("weight", request.change.value, GREATEST_WEIGHT) };
    case "percent":
      return { kind: "percent", percent: upTo("percent", request.change.value, GREATEST_PERCENT) };
    case "clear":
      if (request.change.value) return undefined;
      throw invalid("clear", "must be true where it is set");
    case undefined:
      throw invalid("change", "one of weight, percent and clear must be set");
  }
}

/** What left discovery takes no new work, so ejecting it says nothing. */
function presentOnly(named: Named): Named {
  const present = named.backends.filter((backend) => !backend.isGone);
  if (present.length > 0) return { ...named, backends: present };
  throw wrongState(`${named.key} left discovery and takes no new work; there is nothing to eject`);
}

function refuseLastUsable({ pool, key, backends }: Named): void {
  const usable = backends.filter((backend) => backend.isEligible).length;
  if (usable > 0 && pool.eligibleCount <= usable) {
    throw wrongState(
      `${key} is the last backend of pool ${pool.name} that takes new work; to eject it all the same set force`,
    );
  }
}

function why(asked: Pick<OverrideTerms, "owner" | "reason">): string {
  return asked.reason === "" ? `by ${asked.owner}` : `by ${asked.owner}: ${asked.reason}`;
}
