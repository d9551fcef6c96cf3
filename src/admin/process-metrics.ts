import { collectDefaultMetrics, Registry } from "prom-client";

let registry: Registry | undefined;

/**
 * Metrics of the process itself: processor time, memory, descriptors, event loop, garbage collection. There is
 * one process, so there is one registry, made at the first scrape: what it measures with costs a little.
 */
export function processMetrics(): Promise<string> {
  if (registry === undefined) {
    registry = new Registry();
    // At the default of 10 ms the measuring of the event loop alone wakes an idle process 100 times a second.
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  }
  return registry.metrics();
}
