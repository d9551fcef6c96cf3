import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../../src/config/load.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const DEPLOY = join(ROOT, "deploy");

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly build?: { readonly context: string; readonly dockerfile: string };
        readonly network_mode?: string;
        readonly volumes?: readonly string[];
        readonly depends_on?: Readonly<Record<string, unknown>>;
      }
    >
  >;
}

function read(name: string): string {
  return readFileSync(join(DEPLOY, name), "utf8");
}

describe("the compose file", () => {
  const { services } = parse(read("compose/compose.yaml"), { merge: true }) as Compose;

  it("mounts only files that exist", () => {
    for (const service of Object.values(services)) {
      for (const volume of service.volumes ?? []) {
        expect(existsSync(join(DEPLOY, "compose", volume.split(":")[0] ?? "")), volume).toBe(true);
      }
    }
  });

  it("builds from a Dockerfile that exists", () => {
    const built = Object.values(services).flatMap(({ build }) => build ?? []);
    expect(built.length).toBe(2);
    for (const { context, dockerfile } of built) {
      expect(existsSync(join(DEPLOY, "compose", context, dockerfile))).toBe(true);
    }
  });

  it("puts each sidecar into the network of a service, and waits for services that exist", () => {
    for (const service of Object.values(services)) {
      const beside = service.network_mode?.replace("service:", "");
      if (beside !== undefined) expect(services[beside], beside).toBeDefined();
      for (const needed of Object.keys(service.depends_on ?? {}))
        expect(services[needed], needed).toBeDefined();
    }
  });

  it("registers the services that the sidecars look for", () => {
    const { services: registered } = JSON.parse(read("compose/consul/services.json")) as {
      services: readonly { name: string }[];
    };
    const names = new Set(registered.map(({ name }) => name));
    for (const file of ["compose/web.yaml", "compose/worker.yaml"]) {
      const result = parseConfig(read(file), { file, env: {} });
      expect(result.ok ? [] : result.problems).toEqual([]);
      if (!result.ok) continue;
      for (const { discovery } of result.config.pools) {
        const wanted = discovery.map((each) => (each.type === "consul" ? each.subject.name : each.type));
        expect(wanted.filter((name) => !names.has(name))).toEqual([]);
      }
    }
  });
});

describe("the image", () => {
  const lines = read("Dockerfile").split("\n");

  it("copies only what exists, from the build context or the stage before", () => {
    for (const line of lines.filter((each) => each.startsWith("COPY ") && !each.includes("--from="))) {
      for (const source of line.split(/\s+/).slice(1, -1))
        expect(existsSync(join(ROOT, source)), source).toBe(true);
    }
  });

  it("runs as an ordinary user", () => {
    expect(lines.findLast((line) => line.startsWith("USER "))).toBe("USER node");
  });

  it("starts the program that the package names", () => {
    const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      bin: { pilotfish: string };
    };
    expect(lines.find((line) => line.startsWith("ENTRYPOINT "))).toContain(bin.pilotfish);
  });
});

describe("the systemd unit", () => {
  it("has no line that is no setting, and gives a stop the time it may take", () => {
    const lines = read("systemd/pilotfish.service").split("\n");
    for (const line of lines) expect(line).toMatch(/^$|^#|^\[\w+\]$|^\w+=/);
    const config = parseConfig(
      "listeners: [{name: a, bind: ':1', protocol: tcp, pool: p}]\npools: [{name: p, discovery: {type: static, endpoints: ['a:1']}}]",
      { file: "x", env: {} },
    );
    if (!config.ok) throw new Error("the smallest configuration is not good");
    const stopSeconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(lines.join("\n"))?.[1]);
    const { graceMs, deadlineMs } = config.config.shutdown;
    expect(stopSeconds * 1000).toBeGreaterThan(graceMs + deadlineMs);
  });

  const analyzer = ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"].find(existsSync);
  it.skipIf(analyzer === undefined)("passes systemd's own check, but for programs not installed here", () => {
    let output = "";
    try {
      execFileSync(analyzer ?? "", ["verify", join(DEPLOY, "systemd/pilotfish.service")], { stdio: "pipe" });
    } catch (error) {
      output = String((error as { stderr: Buffer }).stderr);
    }
    const complaints = output.split("\n").filter((line) => line.includes("pilotfish.service"));
    expect(complaints.filter((line) => !line.includes("is not executable"))).toEqual([]);
  });
});

it("keeps every YAML file readable", () => {
  for (const folder of ["compose", "prometheus"]) {
    for (const file of readdirSync(join(DEPLOY, folder)).filter((name) => /\.ya?ml$/.test(name))) {
      expect(() => parse(read(join(folder, file)), { merge: true })).not.toThrow();
    }
  }
});
