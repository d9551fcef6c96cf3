import type { ServiceConfig, SocketAddressConfig } from "../../config/model.js";
import { formatAddress } from "../../core/endpoint.js";
import type { ProbeTarget } from "../probe.js";

/** Consul's words for the state of a check. */
export type CheckStatus = "passing" | "warning" | "critical";

/** An instance as it is registered. */
export interface Instance {
  readonly id: string;
  /** Of the one check it is registered with. */
  readonly checkId: string;
  readonly service: ServiceConfig;
  /** Undefined leaves it to the agent's node. */
  readonly address: string | undefined;
  readonly port: number;
}

const LOOPBACK = "127.0.0.1";
/** Bound everywhere: no address that anybody could connect to. */
const WILDCARDS = ["::", "0.0.0.0"];

/**
 * What is registered of a service.
 *
 * @param bound where the advertised listener listens in fact; empty where the application itself is advertised.
 * @param hostName tells instances of one service on several hosts or in several containers of one agent apart.
 * @returns undefined when the listener has no port.
 */
export function locateInstance(
  service: ServiceConfig,
  bound: readonly SocketAddressConfig[],
  hostName: string,
): Instance | undefined {
  const id = service.id ?? `${service.name}-${hostName}-${service.port}`;
  // An agent keeps the old prober of a check that changes its kind under one id (seen with Consul 1.8), so the kind is part of it.
  const names = { id, checkId: `${checkIdPrefix(id)}${service.check.kind}`, service };
  if (service.advertise.kind === "application")
    return { ...names, address: service.address, port: service.port };
  const place = bound.find((address) => address.kind === "tcp");
  if (place === undefined) return undefined;
  const host = WILDCARDS.includes(place.host) ? undefined : place.host;
  return { ...names, address: service.address ?? host, port: place.port };
}

/** What the ids of all checks of this instance that were made here begin with. */
export function checkIdPrefix(id: string): string {
  return `service:${id}:`;
}

/** Where the sidecar's own probe goes: the application, whoever stands in front of it. */
export function neighbourOf({ service }: Instance): ProbeTarget {
  const isDirect = service.advertise.kind === "application";
  return { host: (isDirect ? service.address : undefined) ?? LOOPBACK, port: service.port };
}

/**
 * The body of `/v1/agent/service/register`.
 *
 * @param status what the check says until its first result; an agent that has the check already keeps its state.
 */
export function definitionOf(instance: Instance, status: CheckStatus): object {
  const { id, service, address, port } = instance;
  return {
    ID: id,
    Name: service.name,
    ...(address !== undefined && { Address: address }),
    Port: port,
    Tags: service.tags,
    Meta: service.meta,
    Weights: { Passing: service.weights.passing, Warning: service.weights.warning },
    Check: checkOf(instance, status),
  };
}

function checkOf(instance: Instance, status: CheckStatus): object {
  const { check, name } = instance.service;
  const shared = {
    CheckID: instance.checkId,
    Name: `Service '${name}' ${check.kind}`,
    Status: status,
    DeregisterCriticalServiceAfter: `${check.deregisterCriticalServiceAfterMs}ms`,
  };
  if (check.kind === "ttl-probe") return { ...shared, TTL: `${check.ttlMs}ms` };
  // The agent is asked to go where clients go, so that it notices the end of either of us.
  const place = formatAddress(instance.address ?? LOOPBACK, instance.port);
  return {
    ...shared,
    ...(check.kind === "consul-http" && { HTTP: `http://${place}${check.httpPath ?? "/"}` }),
    ...(check.kind === "consul-tcp" && { TCP: place }),
    ...(check.kind === "consul-grpc" && { GRPC: place }),
    Interval: `${check.intervalMs}ms`,
    Timeout: `${check.timeoutMs}ms`,
    SuccessBeforePassing: check.rise,
    FailuresBeforeCritical: check.fall,
  };
}

/**
 * What differs between the registration and what the agent answers of it; undefined when nothing that was asked for
 * does. Fields and meta that were not asked for are passed over, since newer agents have more of them.
 */
export function findDifference(body: unknown, { service, address, port }: Instance): string | undefined {
  if (!isRecord(body)) return "form";
  if (body.Service !== service.name) return "name";
  if (body.Port !== port) return "port";
  if (body.Address !== (address ?? "")) return "address";
  const tags = Array.isArray(body.Tags) ? body.Tags : [];
  if (tags.length !== service.tags.length || service.tags.some((tag) => !tags.includes(tag))) return "tags";
  const meta = isRecord(body.Meta) ? body.Meta : {};
  if (Object.entries(service.meta).some(([name, value]) => meta[name] !== value)) return "meta";
  const weights = isRecord(body.Weights) ? body.Weights : {};
  const { passing, warning } = service.weights;
  return weights.Passing === passing && weights.Warning === warning ? undefined : "weights";
}

/** Whether a value of an answer is an object with names. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
