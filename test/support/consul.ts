import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { atExit } from "./at-exit.js";

/** How a real Consul is started for a test. */
export interface ConsulOptions {
  /** Default `node1`. */
  readonly nodeName?: string;
  /** Default `dc1`. */
  readonly datacenter?: string;
  /**
   * A directory that outlives a restart and is the caller's to remove: the agent then runs as a server of one.
   * Without it the agent keeps everything in memory and a restart comes back empty.
   */
  readonly dataDir?: string;
  /** Whether its DNS interface is opened, on `dnsPort`. */
  readonly dns?: boolean;
  /** Whether other datacenters can join it, on `wanPort`; or the one that it joins. */
  readonly wan?: boolean | RunningConsul;
  /** Servers of the same datacenter that it joins. Default none. */
  readonly joins?: readonly RunningConsul[];
  /** Further agent configuration, merged over what the test needs. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** What tests know of a catalog, real or embedded. */
export interface RunningRegistry {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  /** Ends it without a farewell. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it if it runs and starts it again on the same port. */
  restart(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

/** A real Consul agent. */
export interface RunningConsul extends RunningRegistry {
  /** Process id of the agent that runs now. */
  readonly pid: number;
  /** Port of its DNS interface; -1 where that is closed. */
  readonly dnsPort: number;
  /** Port for other agents of its datacenter. */
  readonly lanPort: number;
  /** Port for other datacenters; -1 where that is closed. */
  readonly wanPort: number;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Path of a Consul binary: PILOTFISH_CONSUL, then PATH, then the copy `.ci/consul` fetched. Undefined when there
 * is none, unless PILOTFISH_REQUIRE_CONSUL is set: then that is an error, so that nothing is skipped by mistake.
 */
export function consulBinary(): string | undefined {
  const named = process.env.PILOTFISH_CONSUL;
  const fetched = new URL("../../.cache/consul/usr/bin/consul", import.meta.url).pathname;
  const onPath = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "consul"));
  const candidates = named === undefined || named === "" ? [...onPath, fetched] : [named];
  const found = candidates.find(isExecutable);
  if (found === undefined && (process.env.PILOTFISH_REQUIRE_CONSUL ?? "") !== "") {
    throw new Error("PILOTFISH_REQUIRE_CONSUL is set and no Consul was found: run .ci/consul");
  }
  return found;
}

/** For `describe.skipIf(...)`: true where no Consul is found. Throws where one is required. */
export function isConsulMissing(): boolean {
  return consulBinary() === undefined;
}

/** Below the range of ephemeral ports, so that no outgoing connection takes the port in between. */
const firstPort = 20_000;
const lastPort = 32_700;

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort));
    if (await isPortFree(port)) ports.add(port);
  }
  return [...ports];
}

interface Launch {
  readonly binary: string;
  readonly args: readonly string[];
  readonly url: string;
}

/** Starts a real Consul on free ports of the loopback address and waits until it leads and knows itself. */
export async function startConsul(options: ConsulOptions = {}): Promise<RunningConsul> {
  return (await launchConsul(options)).ready();
}

/**
 * Starts three servers of one datacenter on the loopback address and waits until they have a leader and know it.
 * @param folder for their state; the caller removes it
 */
export async function startConsulCluster(folder: string): Promise<readonly RunningConsul[]> {
  const servers: ConsulProcess[] = [];
  for (const nodeName of ["server1", "server2", "server3"]) {
    const dataDir = join(folder, nodeName);
    const config = { bootstrap_expect: 3, retry_interval: "200ms" };
    servers.push(await launchConsul({ nodeName, dataDir, joins: servers.slice(0, 1), config }));
  }
  try {
    return await Promise.all(servers.map((server) => server.ready()));
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}

/** The server that leads, by its own word; undefined while none does. */
export async function leaderOf(servers: readonly RunningConsul[]): Promise<RunningConsul | undefined> {
  const leads = await Promise.all(
    servers.map(async ({ url }) => {
      const self = await fetch(`${url}/v1/agent/self`).then(
        (answer) => answer.text(),
        () => "",
      );
      return /"leader":\s*"true"/.test(self);
    }),
  );
  return servers[leads.indexOf(true)];
}

async function launchConsul(options: ConsulOptions): Promise<ConsulProcess> {
  const binary = consulBinary();
  if (binary === undefined) throw new Error("no Consul found: run .ci/consul");
  const [http = 0, server = 0, gossip = 0, names = 0, others = 0] = await freePorts(5);
  const dns = options.dns === true ? names : -1;
  const wan = options.wan === undefined || options.wan === false ? -1 : others;
  const directory = await mkdtemp(join(tmpdir(), "pilotfish-consul-"));
  const config = {
    node_name: options.nodeName ?? "node1",
    datacenter: options.datacenter ?? "dc1",
    bind_addr: "127.0.0.1",
    client_addr: "127.0.0.1",
    log_level: "err",
    disable_update_check: true,
    ports: { http, server, serf_lan: gossip, serf_wan: wan, dns, grpc: -1 },
    performance: { raft_multiplier: 1 },
    // A test file may open more at once than the default of 200 allows.
    limits: { http_max_conns_per_client: 2000 },
    ...(options.dataDir !== undefined && { server: true, bootstrap_expect: 1, data_dir: options.dataDir }),
    ...(typeof options.wan === "object" && { retry_join_wan: [`127.0.0.1:${options.wan.wanPort}`] }),
    ...(options.joins !== undefined && {
      retry_join: options.joins.map(({ lanPort }) => `127.0.0.1:${lanPort}`),
    }),
    ...options.config,
  };
  const file = join(directory, "agent.json");
  await writeFile(file, JSON.stringify(config));
  const mode = options.dataDir === undefined ? ["-dev"] : [];
  const url = `http://127.0.0.1:${http}`;
  const launch = { binary, args: ["agent", ...mode, `-config-file=${file}`], url };
  return new ConsulProcess(launch, { http, dns, lan: gossip, wan }, directory);
}

class ConsulProcess implements RunningConsul {
  readonly url: string;
  readonly port: number;
  readonly dnsPort: number;
  readonly lanPort: number;
  readonly wanPort: number;
  readonly #launch: Launch;
  readonly #directory: string;
  readonly #forgetExit = atExit(() => this.#child.kill("SIGKILL"));
  #child: ChildProcess;
  #output = "";

  constructor(
    launch: Launch,
    ports: { readonly http: number; readonly dns: number; readonly lan: number; readonly wan: number },
    directory: string,
  ) {
    this.url = launch.url;
    this.port = ports.http;
    this.dnsPort = ports.dns;
    this.lanPort = ports.lan;
    this.wanPort = ports.wan;
    this.#launch = launch;
    this.#directory = directory;
    this.#child = this.#spawn();
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async ready(): Promise<this> {
    const deadlineMs = performance.now() + 20_000;
    const url = `${this.url}/v1/health/service/consul`;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`consul ended at once:\n${this.#output}`);
      // The leader lists the node with its check; a moment later the agent adds its addresses, and is settled.
      const answer = await fetch(url).then(
        (response) => (response.ok ? response.text() : ""),
        () => "",
      );
      if (answer.includes("serfHealth") && answer.includes("lan_ipv4")) return this;
      if (performance.now() > deadlineMs) throw new Error(`consul has no leader:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async restart(): Promise<void> {
    await this.kill("SIGKILL");
    this.#child = this.#spawn();
    await this.ready();
  }

  async stop(): Promise<void> {
    await this.kill("SIGKILL");
    this.#forgetExit();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    this.#output = "";
    const child = spawn(this.#launch.binary, this.#launch.args, { stdio: ["ignore", "pipe", "pipe"] });
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-10_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    return child;
  }
}
