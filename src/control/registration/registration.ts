import type { ConsulConfig, ServiceConfig, SocketAddressConfig } from "../../config/model.js";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock, Timer } from "../../platform/clock.js";
import type { Log } from "../../platform/log.js";
import type { Random } from "../../platform/random.js";
import type { Probe } from "../probe.js";
import { HttpProbe } from "../probes/http.js";
import { TcpProbe } from "../probes/tcp.js";
import { type ConsulFailure, describeFailure, isPermanentRefusal } from "../sources/consul/answer.js";
import { type ConsulClient, createConsulClient } from "../sources/consul/client.js";
import { type BackoffBounds, backoffDelayMs } from "../sources/consul/pace.js";
import { type AgentReply, InstanceAgent } from "./agent.js";
import { leave } from "./farewell.js";
import { type CheckStatus, type Instance, locateInstance, neighbourOf } from "./instance.js";
import { Neighbour, type Verdict } from "./neighbour.js";

/** What a registration is made with. */
export interface RegistrationOptions {
  readonly service: ServiceConfig;
  readonly consul: ConsulConfig;
  /** Of this machine or container. */
  readonly hostName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Talks to the agent; one made from `consul` when left out. Closed with the registration. */
  readonly client?: ConsulClient;
  /** Probes the application; made from `service.check` when left out. */
  readonly probe?: Probe;
}

/** Where a registration stands. */
export interface RegistrationStatus {
  readonly service: string;
  readonly id: string;
  /** The agent was told, and the last that was heard of it was good. */
  readonly isUp: boolean;
}

/** Longest time between two looks at what the agent holds; chance takes up to half of it off. */
const LOOK_INTERVAL_MS = 10_000;
/** A check is fed so often within its time to live. */
const BEATS_PER_TTL = 3;
const RETRY_BOUNDS: BackoffBounds = { minMs: 200, maxMs: 5_000 };
/** What the agent cannot read it will not read a second later. */
const SLOW_RETRY_BOUNDS: BackoffBounds = { minMs: 10_000, maxMs: 60_000 };
const RETRY_AFTER_MAX_MS = 60_000;

type Step =
  | { readonly kind: "register" }
  | { readonly kind: "report"; readonly verdict: Verdict }
  | { readonly kind: "look" };

interface Call {
  readonly kind: Step["kind"];
  readonly abort: AbortController;
  /** Resolves when the answer is in and taken. */
  readonly over: Promise<void>;
}

/** What works on the instance, once it is known what to register. */
interface Work {
  readonly instance: Instance;
  readonly agent: InstanceAgent;
  readonly neighbour: Neighbour | undefined;
}

/**
 * Keeps the instance beside us registered with the local agent: registers, feeds its check, registers again when the
 * agent lost it or the token was rotated, and takes it out at the end. One call is in flight at a time. Nothing that
 * goes wrong here is fatal: it is logged, and tried again.
 */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #client: ConsulClient;
  #work: Work | undefined;
  #timer: Timer | undefined;
  #inFlight: Call | undefined;
  #isStopped = false;
  #wasTried = false;
  #isRegistered = false;
  /** Whether the agent was seen to hold it since it was last registered. Without that, anew is not "at once". */
  #isConfirmed = false;
  /** The client's count when it was registered. */
  #tokenChanges = 0;
  #verdict: Verdict | undefined;
  /** What the agent was last told. */
  #told: CheckStatus | undefined;
  #nextReportMs = 0;
  /** Undefined before the first registration. */
  #nextLookMs: number | undefined;
  #retryAtMs = 0;
  #failures = 0;
  #reason = "";

  /** @throws TypeError when the agent's address is none of http, https and unix. */
  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#client = options.client ?? createConsulClient(options.consul, options.clock);
  }

  /** @param bound where the advertised listener listens; empty where the application is advertised. Called once. */
  start(bound: readonly SocketAddressConfig[]): void {
    if (this.#isStopped) return;
    const { service, consul, hostName, log } = this.#options;
    const instance = locateInstance(service, bound, hostName);
    if (instance === undefined) {
      log.error({ service: service.name }, "not registered, the advertised listener has no port");
      return;
    }
    const neighbour = this.#neighbourOf(instance);
    this.#work = { instance, agent: new InstanceAgent(instance, this.#client, consul), neighbour };
    neighbour?.start();
    this.#advance();
  }

  /**
   * Deregisters the instance, or puts it into maintenance; then nothing is done any more. Waits for the agent at most
   * two seconds; after that the check's time to live speaks for us. Never rejects.
   */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#end();
    // A registration under way must arrive first, or it would come back to life.
    const call = this.#inFlight;
    if (call?.kind !== "register") call?.abort.abort();
    if (this.#work !== undefined && this.#wasTried) {
      const { instance, agent } = this.#work;
      await leave(instance, agent, call?.over, this.#options);
    }
    call?.abort.abort();
    this.#client.close();
  }

  /** Ends at once and tells nobody. Safe at any time. */
  abort(): void {
    this.#end();
    this.#inFlight?.abort.abort();
    this.#client.close();
  }

  /** Whether it speaks of the instance that a configuration describes, however else they differ. */
  isOf(service: ServiceConfig): boolean {
    const own = this.#options.service;
    return own.name === service.name && own.id === service.id && own.port === service.port;
  }

  /** Undefined before the start, and where there is nothing to register. */
  status(): RegistrationStatus | undefined {
    if (this.#work === undefined) return undefined;
    const { id, service } = this.#work.instance;
    const isUp = this.#isRegistered && this.#failures === 0 && !this.#isStopped;
    return { service: service.name, id, isUp };
  }

  #end(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#work?.neighbour?.stop();
  }

  #neighbourOf(instance: Instance): Neighbour | undefined {
    const { service, clock, probe } = this.#options;
    const { check } = service;
    if (check.kind !== "ttl-probe") return undefined;
    return new Neighbour({
      probe: probe ?? probeOf(check.httpPath, clock),
      target: neighbourOf(instance),
      timing: check,
      clock,
      onVerdict: (verdict) => {
        this.#verdict = verdict;
        this.#advance();
      },
    });
  }

  // ---------------------------------------------------------------- the loop

  /** Does what is due, or waits for it. */
  #advance(): void {
    if (this.#isStopped || this.#inFlight !== undefined || this.#work === undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { step, atMs } = this.#nextStep();
    const delayMs = Math.max(atMs, this.#retryAtMs) - this.#options.clock.nowMs();
    if (delayMs > 0) {
      this.#timer = this.#options.clock.after(delayMs, () => this.#advance());
      return;
    }
    const abort = new AbortController();
    const over = this.#call(step, this.#work.agent, abort.signal);
    this.#inFlight = { kind: step.kind, abort, over };
  }

  #nextStep(): { readonly step: Step; readonly atMs: number } {
    if (!this.#isRegistered) return { step: { kind: "register" }, atMs: 0 };
    const look = { step: { kind: "look" }, atMs: this.#nextLookMs ?? 0 } as const;
    if (this.#verdict === undefined) return look;
    const atMs = this.#told === this.#verdict.status ? this.#nextReportMs : 0;
    return atMs <= look.atMs ? { step: { kind: "report", verdict: this.#verdict }, atMs } : look;
  }

  async #call(step: Step, agent: InstanceAgent, signal: AbortSignal): Promise<void> {
    const sentMs = this.#options.clock.nowMs();
    const reply = await this.#ask(step, agent, signal);
    this.#inFlight = undefined;
    if (this.#isStopped) return;
    if (reply.kind === "failed") this.#fail(reply.failure);
    else if (reply.kind === "lost") this.#lose(reply.why);
    else {
      if (step.kind === "register") this.#registered();
      else this.#confirmed(step, sentMs);
      this.#followToken();
    }
    this.#advance();
  }

  #ask(step: Step, agent: InstanceAgent, signal: AbortSignal): Promise<AgentReply> {
    switch (step.kind) {
      case "register":
        this.#wasTried = true;
        return agent.register(this.#verdict?.status ?? "critical", signal);
      case "report":
        return agent.report(step.verdict, signal);
      case "look":
        return agent.look(signal);
    }
  }

  // ---------------------------------------------------------------- answers

  #registered(): void {
    const { service, clock, random, log } = this.#options;
    const nowMs = clock.nowMs();
    // What an earlier life left behind is looked for once, and at once.
    this.#nextLookMs = this.#nextLookMs === undefined ? nowMs : nowMs + lookDelayMs(random());
    this.#isRegistered = true;
    this.#isConfirmed = false;
    this.#told = undefined;
    this.#tokenChanges = this.#client.tokenChanges();
    const { id, address, port } = this.#work?.instance ?? {};
    const place = formatAddress(address ?? "", port ?? 0);
    log.info({ service: service.name, id, address: place }, "service registered");
  }

  #confirmed(step: Exclude<Step, { kind: "register" }>, sentMs: number): void {
    const { service, clock, random, log } = this.#options;
    this.#isConfirmed = true;
    this.#failures = 0;
    this.#reason = "";
    if (step.kind === "look") {
      this.#nextLookMs = clock.nowMs() + lookDelayMs(random());
      return;
    }
    const { status, output } = step.verdict;
    const ttlMs = service.check.kind === "ttl-probe" ? service.check.ttlMs : 0;
    this.#nextReportMs = sentMs + ttlMs / BEATS_PER_TTL;
    if (status !== this.#told) log.info({ service: service.name, status, output }, "service status told");
    this.#told = status;
  }

  /** The agent speaks to the servers with the token that an instance was registered with, and an old one dies some day. */
  #followToken(): void {
    if (!this.#isRegistered || this.#client.tokenChanges() === this.#tokenChanges) return;
    this.#isRegistered = false;
    this.#options.log.info({ service: this.#options.service.name }, "token changed, registering again");
  }

  #lose(reason: string): void {
    const { service, log } = this.#options;
    this.#isRegistered = false;
    if (this.#isConfirmed)
      log.warn({ service: service.name, reason }, "registration lost, registering again");
    else this.#retry(reason, RETRY_BOUNDS, 0);
  }

  #fail(failure: ConsulFailure): void {
    const reason = describeFailure(failure, `service:write on "${this.#options.service.name}"`);
    // Whatever the agent was told, it may have forgotten; the next good answer shall not wait for the next beat.
    this.#nextReportMs = 0;
    if (failure.kind !== "status") {
      this.#retry(reason, RETRY_BOUNDS, 0);
      return;
    }
    const bounds = isPermanentRefusal(failure) ? SLOW_RETRY_BOUNDS : RETRY_BOUNDS;
    this.#retry(reason, bounds, Math.min(failure.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
  }

  /** Complains once per reason, not once per try. */
  #retry(reason: string, bounds: BackoffBounds, leastMs: number): void {
    const { service, clock, random, log } = this.#options;
    this.#failures += 1;
    this.#retryAtMs = clock.nowMs() + Math.max(backoffDelayMs(this.#failures, bounds, random()), leastMs);
    if (reason === this.#reason) return;
    this.#reason = reason;
    log.warn({ service: service.name, reason }, "registration failed, trying on");
  }
}

function probeOf(httpPath: string | undefined, clock: Clock): Probe {
  return httpPath === undefined
    ? new TcpProbe(clock)
    : new HttpProbe({ method: "GET", path: httpPath, host: undefined }, clock);
}

function lookDelayMs(random: number): number {
  return LOOK_INTERVAL_MS * (0.5 + random / 2);
}
