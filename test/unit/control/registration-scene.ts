import type { ConsulConfig, ServiceConfig, SocketAddressConfig } from "../../../src/config/model.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../../../src/control/probe.js";
import { Registration } from "../../../src/control/registration/registration.js";
import type { ConsulAnswer } from "../../../src/control/sources/consul/answer.js";
import type { ConsulClient, ConsulRequest } from "../../../src/control/sources/consul/client.js";
import { ManualClock } from "../../support/manual-clock.js";
import { consulConfig, RecordingLog } from "./sources/consul-config.js";

/** One call as the agent got it. */
export interface AgentCall {
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What to answer in place of the agent's own answer; `hang` is none, until the caller loses patience. */
export type Fault = (call: AgentCall) => ConsulAnswer | "hang" | undefined;

interface Check {
  readonly CheckID: string;
  readonly ServiceID: string;
  Status: string;
  Output: string;
  readonly Notes: string;
}

export function refusal(status: number, text = "", retryAfterMs?: number): ConsulAnswer {
  return { kind: "status", status, text, retryAfterMs, message: `Consul answered ${status}: ${text}` };
}

export const refused: ConsulAnswer = { kind: "network", message: "connect ECONNREFUSED 127.0.0.1:8500" };

/** A Consul agent in memory: answers as Consul 1.8 does, at once, unless a fault comes first. */
export class FakeAgent implements ConsulClient {
  readonly calls: AgentCall[] = [];
  readonly services = new Map<string, Record<string, unknown>>();
  readonly checks = new Map<string, Check>();
  fault: Fault = () => undefined;
  tokens = 0;
  isClosed = false;
  open = 0;
  openMax = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  readonly request = (request: ConsulRequest): Promise<ConsulAnswer> => {
    const { method = "GET", path, query, body } = request;
    const call = { atMs: this.#clock.nowMs(), method, path, query, body };
    this.calls.push(call);
    this.open += 1;
    this.openMax = Math.max(this.openMax, this.open);
    return this.#answer(call, request).finally(() => {
      this.open -= 1;
    });
  };

  closings(): number {
    return 0;
  }

  tokenChanges(): number {
    return this.tokens;
  }

  close(): void {
    this.isClosed = true;
  }

  /** As after a restart without a data directory. */
  forget(): void {
    this.services.clear();
    this.checks.clear();
  }

  /** `PUT /agent/service/register` and the like, in order, and the calls forgotten. */
  takeCalls(): string[] {
    return this.calls.splice(0).map(({ method, path }) => `${method} ${path}`);
  }

  addCheck(CheckID: string, ServiceID: string, Notes = ""): void {
    this.checks.set(CheckID, { CheckID, ServiceID, Status: "critical", Output: "", Notes });
  }

  #answer(call: AgentCall, { signal, timeoutMs }: ConsulRequest): Promise<ConsulAnswer> {
    const fault = this.fault(call);
    if (fault !== "hang") return Promise.resolve(fault ?? this.#serve(call));
    return new Promise((resolve) => {
      const timer = this.#clock.after(timeoutMs, () => resolve({ kind: "timeout", message: "no answer" }));
      const abort = () => {
        timer.cancel();
        resolve({ kind: "aborted", message: "aborted" });
      };
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
    });
  }

  #serve({ method, path, query, body }: AgentCall): ConsulAnswer {
    const done = (value?: unknown): ConsulAnswer => ({ kind: "ok", status: 200, headers: {}, body: value });
    const id = decodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
    if (path === "/agent/service/register") return done(this.#register(body));
    if (path === "/agent/checks") return done(Object.fromEntries(this.checks));
    if (path.startsWith("/agent/check/update/")) {
      const check = this.checks.get(id);
      if (check === undefined) return refusal(500, `CheckID "${id}" does not have associated TTL`);
      Object.assign(check, body);
      return done();
    }
    if (path.startsWith("/agent/check/deregister/")) return done(this.checks.delete(id));
    if (path.startsWith("/agent/service/maintenance/")) {
      if (!this.services.has(id)) return refusal(404, `No service registered with ID "${id}"`);
      if (query.enable === "true") this.addCheck(`_service_maintenance:${id}`, id, query.reason);
      else this.checks.delete(`_service_maintenance:${id}`);
      return done();
    }
    if (path.startsWith("/agent/service/deregister/")) {
      for (const { CheckID, ServiceID } of [...this.checks.values()])
        if (ServiceID === id) this.checks.delete(CheckID);
      return done(this.services.delete(id));
    }
    const service = method === "GET" ? this.services.get(id) : undefined;
    return service === undefined ? refusal(404, `unknown service ID: ${id}`) : done(service);
  }

  #register(body: unknown): void {
    const { ID, Name, Address = "", Check: check, ...rest } = body as Record<string, unknown>;
    const { CheckID, Status } = check as Record<string, unknown>;
    this.services.set(String(ID), { ...rest, ID, Service: Name, Address, EnableTagOverride: false });
    const known = this.checks.get(String(CheckID));
    this.addCheck(String(CheckID), String(ID));
    const added = this.checks.get(String(CheckID));
    // A check that is there already keeps its state.
    if (added !== undefined) added.Status = known?.Status ?? String(Status);
  }
}

/** A neighbour whose every answer is set by the test. */
export class FakeProbe implements Probe {
  readonly kind = "http";
  readonly targets: ProbeTarget[] = [];
  /** Undefined: no answer until the timeout. */
  answer: number | undefined = 200;
  running = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    this.targets.push(target);
    this.running += 1;
    const { answer } = this;
    const timer = this.#clock.after(answer === undefined ? timeoutMs : 1, () => {
      this.running -= 1;
      done(resultOf(answer, timeoutMs));
    });
    return {
      cancel: () => {
        this.running -= 1;
        timer.cancel();
      },
    };
  }
}

function resultOf(status: number | undefined, timeoutMs: number): ProbeResult {
  if (status === undefined)
    return { passed: false, code: "L7TOUT", detail: "no answer", durationMs: timeoutMs };
  const passed = status < 400;
  return { passed, code: passed ? "L7OK" : "L7STS", detail: `status ${status}`, status, durationMs: 1 };
}

/** A service with defaults of its own; `check` is replaced whole. */
export function serviceConfig(changes: Partial<ServiceConfig> = {}): ServiceConfig {
  return {
    name: "web",
    port: 5001,
    id: "web-1",
    address: undefined,
    tags: [],
    meta: {},
    weights: { passing: 1, warning: 1 },
    advertise: { kind: "application" },
    check: ttlProbe(),
    shutdown: "deregister",
    ...changes,
  };
}

export function ttlProbe(): Extract<ServiceConfig["check"], { kind: "ttl-probe" }> {
  return {
    kind: "ttl-probe",
    httpPath: "/status",
    ttlMs: 9_000,
    intervalMs: 1_000,
    timeoutMs: 500,
    fall: 3,
    rise: 2,
    deregisterCriticalServiceAfterMs: 60_000,
  };
}

/** A registration between an agent and a neighbour of the test's making, on a clock moved by hand. */
export class RegistrationScene {
  readonly clock = new ManualClock();
  readonly agent = new FakeAgent(this.clock);
  readonly probe = new FakeProbe(this.clock);
  readonly log = new RecordingLog();
  readonly registration: Registration;

  constructor(service: ServiceConfig, consul: Partial<ConsulConfig> = {}, random: () => number = () => 1) {
    this.registration = new Registration({
      service,
      consul: consulConfig("http://127.0.0.1:8500", consul),
      hostName: "host-a",
      clock: this.clock,
      random,
      log: this.log,
      client: this.agent,
      probe: this.probe,
    });
  }

  /** Starts, and lets the first calls go through. */
  static async started(
    changes: Partial<ServiceConfig> = {},
    options: {
      readonly consul?: Partial<ConsulConfig>;
      readonly bound?: readonly SocketAddressConfig[];
      readonly prepare?: (scene: RegistrationScene) => void;
    } = {},
  ): Promise<RegistrationScene> {
    const scene = new RegistrationScene(serviceConfig(changes), options.consul);
    options.prepare?.(scene);
    scene.registration.start(options.bound ?? []);
    await scene.clock.advance(10);
    return scene;
  }

  /** Milliseconds between the calls whose path begins so. */
  gaps(path: string): number[] {
    const times = this.agent.calls.filter((call) => call.path.startsWith(path)).map(({ atMs }) => atMs);
    return times.slice(1).map((atMs, index) => Math.round(atMs - (times[index] ?? 0)));
  }

  messages(level?: string): string[] {
    return this.log.lines
      .filter((line) => level === undefined || line.level === level)
      .map(({ message }) => message);
  }

  /** Reasons of the warnings, in order. */
  reasons(): unknown[] {
    return this.log.lines
      .filter(({ level }) => level === "warn")
      .map(({ fields }) => (fields as { reason?: unknown }).reason);
  }
}
