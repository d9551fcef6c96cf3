import type { ListenerInfo } from "./admin/ports.js";
import type { Config, ListenerConfig, SocketAddressConfig } from "./config/model.js";
import { createProtocol, type ListenerProtocol, type ProtocolParts } from "./extensions.js";
import type { HandedSocket } from "./handover/message.js";
import type { Clock } from "./platform/clock.js";
import type { Log } from "./platform/log.js";
import type { Random } from "./platform/random.js";
import type { AccessSink } from "./proxy/access-record.js";
import { formatSocketAddress } from "./proxy/bind.js";
import type { ConnectionBudget } from "./proxy/connection-limits.js";
import { TrustedNetworks } from "./proxy/headers.js";
import {
  type InheritedSockets,
  Listener,
  type ListenerChange,
  type ListeningSocket,
  type PreparedChange,
} from "./proxy/listener.js";
import { ListenerTraffic } from "./proxy/listener-traffic.js";
import type { UpstreamService } from "./proxy/upstream-service.js";

/** What all listeners share. */
export interface ListenersOptions {
  readonly budget: ConnectionBudget;
  readonly accessLog: AccessSink;
  readonly service: (pool: string) => UpstreamService;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly inherited: InheritedSockets | undefined;
}

interface Entry {
  readonly listener: Listener;
  readonly protocol: ListenerProtocol;
  readonly traffic: ListenerTraffic;
}

/** All listeners of the process, by name. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #byName = new Map<string, Entry>();
  /** Removed ones that finish what is open. */
  readonly #retired = new Set<Listener>();

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  get(name: string): Listener | undefined {
    return this.#byName.get(name)?.listener;
  }

  /** Opens all listeners in order. Rejects with a `BindError`; those before it stay open. */
  async open(config: Config): Promise<void> {
    for (const each of config.listeners) {
      const entry = this.#make(each, config);
      this.#byName.set(each.name, entry);
      await entry.listener.bind();
    }
  }

  /**
   * Opens what another configuration asks for besides what is open. Nothing else changes before `commit`. Rejects
   * with a `BindError` when one address cannot be opened; nothing of the new ones stays open then.
   */
  async prepare(config: Config): Promise<PreparedChange> {
    const steps: ListenerChange[] = [];
    const cancel = () => {
      for (const step of steps) step.cancel();
    };
    try {
      for (const each of config.listeners) {
        const entry = this.#byName.get(each.name);
        steps.push(
          entry === undefined ? await this.#add(each, config) : await this.#change(entry, each, config),
        );
      }
    } catch (error) {
      cancel();
      throw error;
    }
    const commit = () => {
      for (const step of steps) step.claim();
      for (const step of steps) step.commit();
      const names = new Set(config.listeners.map(({ name }) => name));
      for (const name of [...this.#byName.keys()]) if (!names.has(name)) this.#remove(name);
    };
    return { commit, cancel };
  }

  /** Takes no more connections; what is open finishes and closes. */
  drain(): void {
    for (const { listener } of this.#byName.values()) {
      listener.stopAccepting();
      listener.drain();
    }
  }

  /** Cuts everything at once. */
  destroyAll(): void {
    for (const listener of [...this.#all()]) {
      listener.stopAccepting();
      listener.destroyAll();
    }
  }

  infos(): readonly ListenerInfo[] {
    return [...this.#byName.values()].map(infoOf);
  }

  /** Listening sockets by listener, for a process that takes this one's place. */
  descriptors(): readonly HandedSocket[] {
    return [...this.#byName.values()].flatMap(({ listener }) =>
      listener.descriptors().map(({ address, ...socket }) => ({
        listener: listener.name,
        address: formatSocketAddress(address),
        ...socket,
      })),
    );
  }

  /** Another process listens on the same sockets. */
  leavePaths(): void {
    for (const { listener } of this.#byName.values()) listener.leavePaths();
  }

  #all(): readonly Listener[] {
    return [...[...this.#byName.values()].map(({ listener }) => listener), ...this.#retired];
  }

  #make(config: ListenerConfig, whole: Config): Entry {
    const { budget, log, inherited } = this.#options;
    const traffic = new ListenerTraffic(this.#options.accessLog);
    const protocol = createProtocol(config, this.#parts(whole, traffic));
    const listener = new Listener({
      config,
      protocol: protocol.begin,
      budget,
      log,
      ...(inherited !== undefined && { inherited }),
    });
    return { listener, protocol, traffic };
  }

  async #add(config: ListenerConfig, whole: Config): Promise<ListenerChange> {
    const parts = this.#make(config, whole);
    const bound = await parts.listener.prepare(config, (address) => this.#socketOf(address));
    const commit = () => {
      bound.commit();
      // Made anew, since the pools it names may have come with the same change.
      parts.protocol.reconfigure(config, this.#parts(whole, parts.traffic));
      this.#byName.set(config.name, parts);
    };
    return { ...bound, commit };
  }

  async #change(entry: Entry, config: ListenerConfig, whole: Config): Promise<ListenerChange> {
    const bound = await entry.listener.prepare(config, (address) => this.#socketOf(address));
    const commit = () => {
      bound.commit();
      entry.protocol.reconfigure(config, this.#parts(whole, entry.traffic));
    };
    return { ...bound, commit };
  }

  /** At whichever listener it is: no two of one configuration have the same address. */
  #socketOf(address: SocketAddressConfig): ListeningSocket | undefined {
    for (const { listener } of this.#byName.values()) {
      const found = listener.socketOf(address);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #remove(name: string): void {
    const entry = this.#byName.get(name);
    if (entry === undefined) return;
    this.#byName.delete(name);
    const { listener } = entry;
    listener.stopAccepting();
    listener.drain();
    for (const retired of this.#retired)
      if (retired.open + retired.waiting === 0) this.#retired.delete(retired);
    this.#retired.add(listener);
  }

  #parts(whole: Config, accessLog: AccessSink): ProtocolParts {
    const { service, clock, random } = this.#options;
    return { service, trusted: new TrustedNetworks(whole.trustedNetworks), clock, random, accessLog };
  }
}

function infoOf({ listener, traffic }: Entry): ListenerInfo {
  return {
    name: listener.name,
    protocol: listener.config.protocol,
    addresses: listener.isListening ? listener.addresses.map(formatSocketAddress) : [],
    openConnections: listener.open,
    maxConnections: listener.config.limits.maxConnections,
    waiting: listener.waiting,
    maxWaiting: listener.config.limits.maxWaiting,
    connectionsTotal: listener.counts.accepted,
    refusedFull: listener.counts.refusedFull,
    refusedPerAddress: listener.counts.refusedPerAddress,
    requestsTotal: traffic.served,
    bytesIn: traffic.bytesIn,
    bytesOut: traffic.bytesOut,
  };
}
