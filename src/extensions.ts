import type { AffinityConfig } from "./config/affinity-model.js";
import type { BalanceConfig } from "./config/balance-model.js";
import type { AgentCheckConfig, HealthCheckConfig } from "./config/health-model.js";
import type { ConsulConfig, DiscoveryConfig, ListenerConfig } from "./config/model.js";
import type { Probe } from "./control/probe.js";
import { ProbeTls } from "./control/probe-tls.js";
import { AgentProbe } from "./control/probes/agent.js";
import { GrpcProbe } from "./control/probes/grpc.js";
import { HttpProbe } from "./control/probes/http.js";
import { TcpProbe } from "./control/probes/tcp.js";
import { TlsProbe } from "./control/probes/tls.js";
import type { Source, SourceDeps } from "./control/source.js";
import { createConsulSource } from "./control/sources/consul/source.js";
import { createDnsSource } from "./control/sources/dns/source.js";
import { createDnsSdSource } from "./control/sources/dns-sd/source.js";
import { createFileSource } from "./control/sources/file/file.js";
import { createStaticSource } from "./control/sources/static/static.js";
import type { Balancer } from "./core/balancer.js";
import { ConsistentHash } from "./core/balancers/consistent-hash.js";
import { Ewma } from "./core/balancers/ewma.js";
import { First } from "./core/balancers/first.js";
import { Keyed } from "./core/balancers/keyed.js";
import { Leastconn } from "./core/balancers/leastconn.js";
import { Maglev } from "./core/balancers/maglev.js";
import { RandomDraws } from "./core/balancers/random.js";
import { RoundRobin } from "./core/balancers/roundrobin.js";
import type { Clock } from "./platform/clock.js";
import type { Random } from "./platform/random.js";
import type { AccessSink } from "./proxy/access-record.js";
import type { TrustedNetworks } from "./proxy/headers.js";
import { Http1Protocol } from "./proxy/http1/http1-protocol.js";
import type { Protocol } from "./proxy/listener.js";
import { priorityRuleOf } from "./proxy/priority.js";
import { Router } from "./proxy/router.js";
import { tcpProtocol } from "./proxy/tcp/tcp-session.js";
import type { UpstreamService } from "./proxy/upstream-service.js";

/**
 * THE list of what can be chosen by name in the configuration. A new balancer, source, probe or listener
 * protocol is one file of its own, its options in the configuration schema, and one line here.
 */

/** One maker per member of a union, found by the member's discriminant. */
type Makers<Union, Name extends keyof Union, Rest extends readonly unknown[], Made> = {
  readonly [Each in Union[Name] & string]: (
    config: Extract<Union, Record<Name, Each>>,
    ...rest: Rest
  ) => Made;
};

/** Points on the ring that affinity by hash goes by. */
const AFFINITY_NODES = 128;

const BALANCERS: Makers<BalanceConfig, "algorithm", [Random], Balancer> = {
  leastconn: (config) => new Leastconn(config),
  roundrobin: () => new RoundRobin(),
  random: (config, random) => new RandomDraws(config, random),
  first: () => new First(),
  "consistent-hash": (config, random) => new ConsistentHash(config, random),
  maglev: (config, random) => new Maglev(config, random),
  ewma: (config, random) => new Ewma(config, random),
};

const SOURCES: Makers<DiscoveryConfig, "type", [ConsulConfig, SourceDeps], Source> = {
  consul: (config, consul, deps) => createConsulSource(config, consul, deps),
  dns: (config, _consul, deps) => createDnsSource(config, deps),
  "dns-sd": (config, _consul, deps) => createDnsSdSource(config, deps),
  static: (config, _consul, deps) => createStaticSource(config, deps),
  file: (config, _consul, deps) => createFileSource(config, deps),
};

const PROBES: Makers<HealthCheckConfig, "type", [Clock], Probe> = {
  tcp: (_config, clock) => new TcpProbe(clock),
  tls: (config, clock) => new TlsProbe(new ProbeTls(config.tls, clock), clock),
  http: (config, clock) => new HttpProbe(config, clock, config.tls && new ProbeTls(config.tls, clock)),
  grpc: (config, clock) => new GrpcProbe(config, clock, config.tls && new ProbeTls(config.tls, clock)),
};

/** What listeners are made with, besides their own configuration. */
export interface ProtocolParts {
  service(pool: string): UpstreamService;
  readonly trusted: TrustedNetworks;
  readonly clock: Clock;
  readonly random: Random;
  readonly accessLog: AccessSink;
}

/** What a listener does with its connections, and how it is told of another configuration. */
export interface ListenerProtocol {
  readonly begin: Protocol;
  reconfigure(config: ListenerConfig, parts: ProtocolParts): void;
}

const PROTOCOLS: Readonly<
  Record<ListenerConfig["protocol"], (config: ListenerConfig, parts: ProtocolParts) => ListenerProtocol>
> = {
  http: (config, parts) => {
    const protocol = new Http1Protocol(httpOptions(config, parts));
    return {
      begin: protocol.begin,
      reconfigure: (next, nextParts) => protocol.reconfigure(httpOptions(next, nextParts)),
    };
  },
  tcp: (config, parts) => {
    let begin = tcpProtocol(tcpOptions(config, parts));
    return {
      begin: (connection, context) => begin(connection, context),
      reconfigure: (next, nextParts) => {
        begin = tcpProtocol(tcpOptions(next, nextParts));
      },
    };
  },
};

function httpOptions(config: ListenerConfig, parts: ProtocolParts) {
  const { routes, pool, priority } = config;
  const router = new Router(routes, pool, parts.service, parts.random, priority);
  return { ...parts, config, router };
}

function tcpOptions(config: ListenerConfig, parts: ProtocolParts) {
  const router = new Router([], config.pool, parts.service, parts.random);
  const priority = priorityRuleOf(config.priority)?.fixed;
  return { ...parts, listener: config.name, priority, destination: router.unrouted };
}

/** The maker of a union's member; the compiler cannot see that both come from the same member. */
function makerOf<Config, Rest extends readonly unknown[], Made>(
  makers: Readonly<Record<string, (config: never, ...rest: Rest) => Made>>,
  name: string,
): (config: Config, ...rest: Rest) => Made {
  const maker = makers[name];
  if (maker === undefined) throw new Error(`nothing is registered as ${name}`);
  return maker as (config: Config, ...rest: Rest) => Made;
}

/** The balancer a pool's configuration names, under its affinity by hash if it has one. */
export function createBalancer(
  config: BalanceConfig,
  affinity: AffinityConfig | undefined,
  random: Random,
): Balancer {
  const balancer = makerOf<BalanceConfig, [Random], Balancer>(BALANCERS, config.algorithm)(config, random);
  if (affinity?.type !== "hash") return balancer;
  const { loadFactor } = affinity;
  return new Keyed(new ConsistentHash({ virtualNodes: AFFINITY_NODES, loadFactor }, random), balancer);
}

/** A source that a pool's configuration names. */
export function createSource(config: DiscoveryConfig, consul: ConsulConfig, deps: SourceDeps): Source {
  return makerOf<DiscoveryConfig, [ConsulConfig, SourceDeps], Source>(SOURCES, config.type)(
    config,
    consul,
    deps,
  );
}

/** The active check a pool's configuration names. */
export function createProbe(config: HealthCheckConfig, clock: Clock): Probe {
  return makerOf<HealthCheckConfig, [Clock], Probe>(PROBES, config.type)(config, clock);
}

/** The agent check a pool's configuration asks for. */
export function createAgentProbe(config: AgentCheckConfig, clock: Clock): Probe {
  return new AgentProbe(config, clock);
}

/** What a listener does with its connections. */
export function createProtocol(config: ListenerConfig, parts: ProtocolParts): ListenerProtocol {
  return PROTOCOLS[config.protocol](config, parts);
}
