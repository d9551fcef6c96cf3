import type { Backend, FactName } from "./backend.js";
import type { Endpoint } from "./endpoint.js";

/** What happened in a pool, for logs, upstream connections and admin watchers. */
export type PoolEvent =
  | { readonly type: "backend-added"; readonly backend: Backend }
  /** Discovery dropped it: no new work, the open work has until `untilMs`. */
  | { readonly type: "backend-leaving"; readonly backend: Backend; readonly untilMs: number }
  /** It came back before it was removed, and keeps all it learnt. */
  | { readonly type: "backend-returned"; readonly backend: Backend }
  /** Nothing is in flight any more; its row is given up. */
  | { readonly type: "backend-removed"; readonly backend: Backend }
  | { readonly type: "endpoint-changed"; readonly backend: Backend; readonly previous: Endpoint }
  | {
      readonly type: "state-changed";
      readonly backend: Backend;
      readonly fact: FactName;
      readonly from: string;
      readonly to: string;
      readonly why: string;
      /** When it ends by itself, if it does. */
      readonly untilMs: number | undefined;
    }
  | {
      readonly type: "weight-changed";
      readonly backend: Backend;
      readonly from: number;
      readonly to: number;
      readonly why: string;
      /** When it changes again by itself, if it does. */
      readonly untilMs: number | undefined;
    }
  /** A detector fired but the cap left no room. */
  | { readonly type: "ejection-overflowed"; readonly backend: Backend; readonly cause: string }
  /** Its time to finish is over: what is still open is to be cut. */
  | { readonly type: "drain-deadline"; readonly backend: Backend }
  /** Another tier takes the new work, 0 for actives. */
  | { readonly type: "tier-changed"; readonly from: number; readonly to: number }
  /** Too few are healthy to carry the work, so health is ignored; or no longer. */
  | {
      readonly type: "panic-changed";
      readonly isPanicking: boolean;
      readonly healthy: number;
      /** Backends that take new work now. */
      readonly usable: number;
    }
  /** The first backend became usable, or the last one ceased to be. */
  | { readonly type: "usable-changed"; readonly isUsable: boolean };

/** Hears of every event once the pool is whole again, and may call the pool. */
export type PoolListener = (event: PoolEvent, nowMs: number) => void;
