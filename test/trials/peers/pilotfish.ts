import { readFileSync, writeFileSync } from "node:fs";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import {
  AdminClient,
  AdminState,
  type Backend,
  type Event,
  type Fact,
  type WatchEventsResponse,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { isConsulMissing, type RunningRegistry, startConsul } from "../../support/consul.js";
import { until } from "../../support/promised.js";
import { startEmbedded } from "../../support/registry.js";
import { call } from "../../support/registry-client.js";
import { Sidecar } from "../../support/sidecar.js";
import {
  CADENCE,
  type Listed,
  type ProxyUnderTrial,
  RETRY_ON,
  type ShareChange,
  type TrialPeer,
  type TrialSetting,
} from "./proxy-under-trial.js";

const SOON_MS = 10_000;

/** States of the four facts that speak for a backend. */
const SPEAKS_FOR = new Set(["admitted", "up", "unchecked", "ready", "active"]);

/** The same cadence as HAProxy's. */
const WARY_RHYTHM = {
  interval: `${CADENCE.intervalMs}ms`,
  fastInterval: `${CADENCE.fastMs}ms`,
  downInterval: `${CADENCE.downMs}ms`,
  timeout: `${CADENCE.checkTimeoutMs}ms`,
  fall: CADENCE.fall,
  rise: CADENCE.rise,
};

/** Backends end without a word to the catalog: what may not run twice asks first whether it is taken. */
const CHECKED = {
  healthCheck: { type: "http", path: "/status", interval: "1s", fall: 2, rise: 1 },
  retries: { expectContinue: "1s" },
};

/**
 * Ejections are short: since a backend is on probation after each, a return that comes too early costs one try of a
 * request that is tried again elsewhere. What its check fails too stays out until a check passes, and probes of it
 * follow the demand; HAProxy has nothing like either.
 */
const WARY = {
  healthCheck: {
    type: "http",
    path: "/status",
    ...WARY_RHYTHM,
    demandPercent: 50,
    observe: "layer7",
    errorLimit: CADENCE.errors,
    onError: "mark-down",
  },
  outlierDetection: {
    consecutive5xx: CADENCE.errors,
    // HAProxy has one limit for all errors.
    consecutiveConnectFailure: CADENCE.refusals,
    baseEjectionTime: "20ms",
    maxEjectionTime: "20ms",
    // A check that passes says nothing of answers that fail.
    successfulActiveHealthCheckUneject: false,
  },
  // HAProxy makes no pause before a try at another server.
  retries: { on: [...RETRY_ON, "unavailable"], backoff: { base: "0s", max: "0s" } },
};

/** pilotfish with a real Consul where there is one, with the embedded catalog where there is none. */
export const pilotfish: TrialPeer = {
  name: "pilotfish",

  version() {
    const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
    return (JSON.parse(text) as { version: string }).version;
  },

  async start(setting: TrialSetting): Promise<ProxyUnderTrial> {
    const catalog = isConsulMissing() ? await startEmbedded() : await startConsul();
    for (const each of setting.listed) await register(catalog, each);
    const sidecar = await Sidecar.start(configuration(setting, catalog.url, 0), setting.folder);
    const proxy = new Pilotfish(setting, catalog, sidecar);
    await proxy.settles(setting.listed);
    return proxy;
  },
};

function configuration(setting: TrialSetting, consul: string, reloads: number): object {
  const serverMs = (setting.isWary ? CADENCE.serverMs : 30_000) + reloads;
  const rhythm = setting.isWary ? WARY_RHYTHM : { interval: "1s", fall: 2, rise: 1 };
  const isChecked = setting.isChecked || setting.isWary;
  const timeouts = { connect: "2s", server: `${serverMs}ms` };
  return {
    consul: { address: consul },
    stateDir: `${setting.folder}/state`,
    shutdown: { grace: "0s", deadline: "30s" },
    listeners: [
      { name: "http", bind: "127.0.0.1:0", protocol: "http", pool: "web" },
      { name: "tcp", bind: "127.0.0.1:0", protocol: "tcp", pool: "echo" },
    ],
    pools: [
      {
        name: "web",
        discovery: { type: "consul", service: "web" },
        timeouts,
        ...(setting.isChecked && CHECKED),
        ...(setting.isWary && WARY),
        ...(setting.isSticky && {
          affinity: { type: "cookie", name: "SERVER", mode: "insert", indirect: true, nocache: true },
        }),
      },
      {
        name: "echo",
        discovery: { type: "consul", service: "echo" },
        timeouts,
        ...(isChecked && { healthCheck: { type: "tcp", ...rhythm } }),
      },
    ],
  };
}

async function register(catalog: RunningRegistry, each: Listed): Promise<void> {
  const meta = each.isBackup === true ? { Meta: { backup: "true" } } : {};
  const entry = { Address: "127.0.0.1", ...meta };
  await put(catalog, "agent/service/register", {
    ...entry,
    Name: "web",
    ID: each.id,
    Port: each.httpPort,
  });
  await put(catalog, "agent/service/register", {
    ...entry,
    Name: "echo",
    ID: `${each.id}-echo`,
    Port: each.echoPort,
  });
}

async function put(catalog: RunningRegistry, path: string, body: unknown = {}): Promise<void> {
  const { status, text } = await call(catalog.url, "PUT", path, body);
  if (status !== 200) throw new Error(`PUT ${path}: ${status} ${text}`);
}

class Pilotfish implements ProxyUnderTrial {
  readonly #setting: TrialSetting;
  readonly #catalog: RunningRegistry;
  readonly #sidecar: Sidecar;
  #admin: AdminClient;
  #listed: readonly Listed[];
  #reloads = 0;

  constructor(setting: TrialSetting, catalog: RunningRegistry, sidecar: Sidecar) {
    this.#setting = setting;
    this.#catalog = catalog;
    this.#sidecar = sidecar;
    this.#listed = setting.listed;
    this.#admin = new AdminClient(sidecar.grpc, credentials.createInsecure());
  }

  get httpPort(): number {
    return this.#sidecar.port("http");
  }

  get tcpPort(): number {
    return this.#sidecar.port("tcp");
  }

  async list(listed: readonly Listed[]): Promise<void> {
    const kept = new Set(listed.map(({ id }) => id));
    const known = new Set(this.#listed.map(({ id }) => id));
    for (const each of listed) if (!known.has(each.id)) await register(this.#catalog, each);
    for (const { id } of this.#listed) {
      if (kept.has(id)) continue;
      await put(this.#catalog, `agent/service/deregister/${id}`);
      await put(this.#catalog, `agent/service/deregister/${id}-echo`);
    }
    this.#listed = listed;
    await this.settles(listed);
  }

  /** Resolves once both pools hold exactly these, and nothing is open on others. */
  async settles(listed: readonly Listed[]): Promise<void> {
    const wanted = listed
      .flatMap(({ id }) => [id, `${id}-echo`])
      .sort()
      .join(" ");
    let found = "";
    const isSettled = async () => {
      const backends = await this.#backends("");
      found = backends
        .map(({ id }) => id)
        .sort()
        .join(" ");
      return found === wanted;
    };
    await until(isSettled, SOON_MS, `${wanted}`).catch((error: unknown) => {
      throw new Error(`the pools hold ${found}, not ${wanted}`, { cause: error });
    });
  }

  async weigh(id: string, weight: number): Promise<void> {
    const change = { $case: "weight" as const, value: weight };
    const request = { pool: "web", backend: id, change, ttl: undefined, owner: "", reason: "trial" };
    await new Promise<void>((resolve, reject) => {
      this.#admin.setWeight(request, (error: ServiceError | null) => (error ? reject(error) : resolve()));
    });
  }

  drain(id: string): Promise<void> {
    return this.#state(id, AdminState.ADMIN_STATE_DRAIN);
  }

  ready(id: string): Promise<void> {
    return this.#state(id, AdminState.ADMIN_STATE_READY);
  }

  async share(id: string): Promise<number> {
    const [backend] = await this.#backends("web", id);
    return backend?.eligible === true ? (backend.weight?.inForce ?? 0) : 0;
  }

  /** By the events of WatchEvents, which have milliseconds. */
  async watch(id: string): Promise<readonly ShareChange[]> {
    const changes: ShareChange[] = [];
    const against = new Set<Fact>();
    let weight = 1;
    const take = ({ kind, time }: Event): void => {
      if (kind?.$case === "stateChanged") {
        if (SPEAKS_FOR.has(kind.value.to)) against.delete(kind.value.fact);
        else against.add(kind.value.fact);
      } else if (kind?.$case === "weightChanged") {
        weight = kind.value.to;
      } else {
        return;
      }
      const share = against.size === 0 ? weight : 0;
      if (share === (changes.at(-1)?.share ?? 1)) return;
      changes.push({ atMs: Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1_000_000, share });
    };
    const events = this.#admin.watchEvents({ pool: "web", backend: id, fromSequence: undefined });
    // It ends with the client, and says so by an error.
    events.on("error", () => {});
    await new Promise<void>((resolve) => {
      events.on("data", ({ content }: WatchEventsResponse) => {
        if (content?.$case === "event") take(content.value);
        else if (content?.$case === "present" && content.value.complete) resolve();
      });
    });
    return changes;
  }

  async reload(): Promise<void> {
    const config = configuration(this.#setting, this.#catalog.url, ++this.#reloads);
    writeFileSync(this.#sidecar.file, Sidecar.text(config));
    const seen = this.#sidecar.log.filter(isReloaded).length;
    this.#sidecar.signal("SIGHUP");
    await until(() => this.#sidecar.log.filter(isReloaded).length > seen, SOON_MS, "the reload");
  }

  async restart(): Promise<void> {
    await this.#sidecar.restart();
    this.#admin.close();
    this.#admin = new AdminClient(this.#sidecar.grpc, credentials.createInsecure());
  }

  async stop(): Promise<void> {
    this.#admin.close();
    await this.#sidecar.stop();
    await this.#catalog.stop();
  }

  #state(backend: string, state: AdminState): Promise<void> {
    const request = { pool: "web", backend, state, ttl: undefined, owner: "", reason: "trial" };
    return new Promise((resolve, reject) => {
      this.#admin.setState(request, (error: ServiceError | null) => (error ? reject(error) : resolve()));
    });
  }

  #backends(pool: string, backend = ""): Promise<readonly Backend[]> {
    const request = { pool, backend, eligible: undefined, pageSize: 1000, pageToken: "" };
    return new Promise((resolve, reject) => {
      this.#admin.listBackends(request, (error: ServiceError | null, answer) =>
        error ? reject(error) : resolve(answer.backends),
      );
    });
  }
}

function isReloaded(line: Readonly<Record<string, unknown>>): boolean {
  return line.msg === "reloaded";
}
