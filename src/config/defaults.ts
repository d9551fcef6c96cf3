import { isMap } from "./path.js";
import { isOn } from "./schema/field.js";
import { listenerDefaultsSchema } from "./schema/listener.js";
import { poolDefaultsSchema } from "./schema/pool.js";

/** Keys whose value decides which other keys may stand beside them. */
const KINDS = ["type", "algorithm"];

/** Keys that take `on` and `off` in place of a map. */
const SWITCHES = [
  "healthCheck",
  "agentCheck",
  "outlierDetection",
  "suspicion",
  "flapDamping",
  "savedList",
  "latency",
  "adaptive",
];

/**
 * Lays `defaults.listener` and `defaults.pool` below every listener and pool: maps are merged, everything else is
 * replaced. Answers a new tree; whatever is not of the right kind stays for the schema to object to.
 */
export function applyDefaults(tree: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const defaults = isMap(tree.defaults) ? tree.defaults : {};
  return {
    ...tree,
    ...layBelow(tree, "listeners", pick(defaults.listener, Object.keys(listenerDefaultsSchema.shape))),
    ...layBelow(tree, "pools", pick(defaults.pool, Object.keys(poolDefaultsSchema.shape))),
  };
}

function layBelow(
  tree: Readonly<Record<string, unknown>>,
  key: "listeners" | "pools",
  base: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const items = tree[key];
  return Array.isArray(items) ? { [key]: items.map((item) => (isMap(item) ? merge(base, item) : item)) } : {};
}

function merge(base: unknown, over: unknown): unknown {
  if (!isMap(base)) return over;
  if (!isMap(over) || isOtherKind(base, over)) return over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    Object.defineProperty(merged, key, {
      value: Object.hasOwn(base, key) ? mergeField(key, base[key], value) : value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return merged;
}

function mergeField(key: string, base: unknown, over: unknown): unknown {
  // For what has a switch, `on` says no more than "as the defaults have it".
  return SWITCHES.includes(key) && isMap(base) && isOn(over) ? base : merge(base, over);
}

function isOtherKind(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): boolean {
  return KINDS.some(
    (kind) => over[kind] !== undefined && base[kind] !== undefined && over[kind] !== base[kind],
  );
}

function pick(value: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (!isMap(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)));
}
