import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePorts, portOpen } from "../../bench/children.js";
import { writeConfiguration } from "../../bench/peers/peer.js";
import { atExit } from "../../support/at-exit.js";
import { until } from "../../support/promised.js";
import {
  CADENCE,
  type Listed,
  type ProxyUnderTrial,
  RETRY_ON,
  type ShareChange,
  type TrialPeer,
  type TrialSetting,
} from "./proxy-under-trial.js";

/** Longest wait for a new worker before it is asked for again. */
const RELOAD_MS = 2_000;

/** HAProxy with a catalog in front of it, as a template engine would keep it: each change is a new file and a reload. */
export const haproxy: TrialPeer = {
  name: "haproxy",

  version() {
    return /version ([\w.]+)/.exec(spawnSync("haproxy", ["-v"], { encoding: "utf8" }).stdout ?? "")?.[1];
  },

  async start(setting: TrialSetting): Promise<ProxyUnderTrial> {
    const [httpPort = 0, tcpPort = 0] = await freePorts(2);
    const proxy = new Haproxy(setting, httpPort, tcpPort);
    await proxy.begin();
    return proxy;
  },
};

class Haproxy implements ProxyUnderTrial {
  readonly httpPort: number;
  readonly tcpPort: number;
  readonly #setting: TrialSetting;
  readonly #file: string;
  readonly #socket: string;
  readonly #stateFile: string;
  readonly #log = createSocket("udp4");
  readonly #forgetExit = atExit(() => this.#master?.kill("SIGTERM"));
  #master: ChildProcess | undefined;
  #listed: readonly Listed[];
  #reloads = 0;

  constructor(setting: TrialSetting, httpPort: number, tcpPort: number) {
    this.#setting = setting;
    this.httpPort = httpPort;
    this.tcpPort = tcpPort;
    this.#listed = setting.listed;
    this.#file = join(setting.folder, "haproxy.cfg");
    this.#socket = join(setting.folder, "haproxy.sock");
    this.#stateFile = join(setting.folder, "haproxy.state");
    writeFileSync(this.#stateFile, "");
  }

  async begin(): Promise<void> {
    await new Promise<void>((resolve) => this.#log.bind(0, "127.0.0.1", resolve));
    this.#write();
    const output = openSync(join(this.#setting.folder, "haproxy.log"), "a");
    this.#master = spawn("haproxy", ["-W", "-f", this.#file], { stdio: ["ignore", output, output] });
    await portOpen(this.httpPort, this.#master);
  }

  async list(listed: readonly Listed[]): Promise<void> {
    this.#listed = listed;
    await this.reload();
  }

  async weigh(id: string, weight: number): Promise<void> {
    await this.#ask(`set server web/${id} weight ${weight}`);
  }

  async drain(id: string): Promise<void> {
    await this.#ask(`set server web/${id} state drain`);
  }

  async ready(id: string): Promise<void> {
    await this.#ask(`set server web/${id} state ready`);
  }

  async share(id: string): Promise<number> {
    const [head = [], ...rows] = (await this.#ask("show stat web 4 -1"))
      .split("\n")
      .map((line) => line.split(","));
    const row = rows.find((each) => each[head.indexOf("svname")] === id) ?? [];
    const isUp = /^(UP|no check)/.test(row[head.indexOf("status")] ?? "");
    return isUp ? Number(row[head.indexOf("weight")]) : 0;
  }

  /** By what its log says of the server, which has microseconds. */
  async watch(id: string): Promise<readonly ShareChange[]> {
    const changes: ShareChange[] = [];
    this.#log.on("message", (bytes) => {
      const [, time = "", state] =
        new RegExp(`^\\S*?(\\d{4}-\\S+) .*Server web/${id} is (UP|DOWN)`).exec(bytes.toString()) ?? [];
      if (state !== undefined) changes.push({ atMs: epochMs(time), share: state === "UP" ? 1 : 0 });
    });
    return changes;
  }

  /** By the master process, which hands the listening sockets to the new worker. */
  async reload(): Promise<void> {
    const before = await this.#workerPid();
    writeFileSync(this.#stateFile, await this.#ask("show servers state"));
    this.#write();
    this.#master?.kill("SIGUSR2");
    // A signal that meets a master which is still busy with the one before is lost.
    for (let tries = 1; !(await this.#isReplaced(before)); tries++) {
      if (tries > 5) throw new Error(readFileSync(join(this.#setting.folder, "haproxy.log"), "utf8"));
      this.#master?.kill("SIGUSR2");
    }
  }

  /** Whether another worker than the given one answers within two seconds. */
  #isReplaced(pid: string): Promise<boolean> {
    const isAnother = async () => ![pid, ""].includes(await this.#workerPid().catch(() => ""));
    return until(isAnother, RELOAD_MS, "another worker").then(
      () => true,
      () => false,
    );
  }

  restart(): Promise<void> {
    return this.reload();
  }

  async stop(): Promise<void> {
    const master = this.#master;
    this.#forgetExit();
    this.#log.close();
    if (master === undefined || master.exitCode !== null) return;
    const ended = new Promise((resolve) => master.once("exit", resolve));
    // Ends its workers too, which a kill would leave behind.
    master.kill("SIGTERM");
    await ended;
  }

  #write(): void {
    const { isSticky, isWary } = this.#setting;
    const { http, tcp } = checksOf(this.#setting);
    const timeoutMs = isWary ? CADENCE.serverMs : 30_000;
    const server = (each: Listed, port: number, rest: string) =>
      `    server ${each.id} 127.0.0.1:${port} ${rest}${each.isBackup === true ? " backup" : ""}`;
    writeConfiguration(
      new URL("haproxy.cfg", import.meta.url).href,
      {
        SOCKET: this.#socket,
        STATE: this.#stateFile,
        LOG_PORT: this.#log.address().port,
        SERVER_TIMEOUT: `${timeoutMs + this.#reloads++}ms`,
        CHECK_TIMEOUT: `${isWary ? CADENCE.checkTimeoutMs : 1_000}ms`,
        RETRY_ON: isWary ? RETRY_ON.join(" ") : "conn-failure empty-response",
        HTTP_PORT: this.httpPort,
        TCP_PORT: this.tcpPort,
        COOKIE: isSticky ? "cookie SERVER insert indirect nocache" : "",
        HTTP_SERVERS: this.#listed
          .map((each) => server(each, each.httpPort, `${http}${isSticky ? ` cookie ${each.id}` : ""}`))
          .join("\n"),
        TCP_SERVERS: this.#listed.map((each) => server(each, each.echoPort, tcp)).join("\n"),
      },
      this.#file,
    );
  }

  async #workerPid(): Promise<string> {
    return /^Pid: (\d+)/m.exec(await this.#ask("show info"))?.[1] ?? "";
  }

  #ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(this.#socket, () => socket.end(`${command}\n`));
      socket.setEncoding("utf8");
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(text.trim()));
    });
  }
}

/** Of an ISO time, with its microseconds. */
function epochMs(time: string): number {
  const fraction = /\.\d+/.exec(time)?.[0] ?? "";
  return Date.parse(time.replace(fraction, "")) + 1_000 * Number(fraction);
}

/** Checks of a server, for HTTP with what of its traffic counts as one. */
function checksOf({ isChecked, isWary }: TrialSetting): { readonly http: string; readonly tcp: string } {
  if (isWary) {
    const { intervalMs, fastMs, downMs, fall, rise, errors } = CADENCE;
    const tcp = `check inter ${intervalMs}ms fastinter ${fastMs}ms downinter ${downMs}ms fall ${fall} rise ${rise}`;
    return { tcp, http: `${tcp} observe layer7 error-limit ${errors} on-error mark-down` };
  }
  if (!isChecked) return { tcp: "", http: "" };
  const tcp = "check inter 1s fall 2 rise 1";
  return {
    tcp,
    http: `${tcp} fastinter 250ms downinter 1s observe layer7 error-limit 5 on-error mark-down`,
  };
}
