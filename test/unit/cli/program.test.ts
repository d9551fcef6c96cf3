import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../../src/cli/program.js";
import { runRegistry, type StartRegistry } from "../../../src/cli/registry.js";
import { run } from "../../../src/cli/run.js";
import { readVersion } from "../../../src/cli/version.js";
import { configJsonSchema } from "../../../src/config/json-schema.js";
import type { Config } from "../../../src/config/model.js";
import { createFakeTerminal } from "./fake-terminal.js";

const GOOD = `
listeners: [{ name: front, bind: "127.0.0.1:60000-60001", pool: web }]
pools: [{ name: web, discovery: { type: consul, service: web } }, { name: api, discovery: { type: file, path: e } }]`;

let folder = "";
let good = "";
let bad = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pilotfish-cli-"));
  good = join(folder, "good.yaml");
  bad = join(folder, "bad.yaml");
  await writeFile(good, GOOD);
  await writeFile(bad, "listeners: []\nx: 1");
});

afterAll(() => rm(folder, { recursive: true }));

async function call(...args: readonly string[]) {
  const terminal = createFakeTerminal();
  const code = await runCommandLine(args, terminal, "1.2.3");
  return { code, out: terminal.printed.join("\n"), err: terminal.complaints.join("\n") };
}

describe("the command line", () => {
  it("names every command, the exit codes and examples in its help", async () => {
    const { code, out, err } = await call("--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const part of ["run", "check", "schema", "demo", "registry", "Exit codes:", "Examples:"])
      expect(out).toContain(part);
  });

  it.each([
    [
      "run",
      ["-c, --config <file>", "--log-level", "--admin-grpc", "--admin-http", "CONSUL_HTTP_TOKEN", "SIGHUP"],
    ],
    ["check", ["-c, --config <file>", "Exit codes:"]],
    ["schema", ["yaml-language-server"]],
    ["demo", ["--once", "Exit codes:"]],
    ["registry", ["--listen <host:port>", "127.0.0.1:8500"]],
  ])("explains %s", async (command, parts) => {
    const { code, out } = await call(command, "--help");
    expect(code).toBe(0);
    for (const part of parts) expect(out).toContain(part);
  });

  it("prints its version", async () => {
    expect(await call("--version")).toEqual({ code: 0, out: "1.2.3", err: "" });
    expect(readVersion()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [[], "Usage: pilotfish"],
    [["chek"], "Did you mean check?"],
    [["run"], "required option '-c, --config <file>' not specified"],
    [["run", "-c"], "argument missing"],
    [["check", "-c", "a", "--colour"], "unknown option '--colour'"],
    [["check", "-c", "a", "b"], "too many arguments"],
    [["registry", "--listen", "unix:/a"], "Expected host:port."],
    [["registry", "--listen", "8500"], "Expected an address such as 127.0.0.1:8500"],
  ])("ends %j with 2", async (args, part) => {
    const { code, out, err } = await call(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(part);
  });
});

describe("check", () => {
  it("sums up a good file, with its warnings on standard error", async () => {
    expect(await call("check", "-c", good)).toEqual({
      code: 0,
      out: `${good}: good, 1 listener on 2 addresses, 0 routes, 2 pools`,
      err: expect.stringContaining("pools[1].name: warning: no listener uses the pool api"),
    });
  });

  it("tells every problem of a bad one and ends with 2", async () => {
    const { code, out, err } = await call("check", "--config", bad);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(`${bad}:1:12 listeners: found an empty list, expected at least one listener`);
    expect(err).toContain(`${bad}:2:1 x: unknown key`);
    expect(err.endsWith(`pilotfish: 2 problems in ${bad}`)).toBe(true);
  });
});

describe("schema", () => {
  it("prints the JSON schema", async () => {
    const { code, out } = await call("schema");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual(configJsonSchema());
  });
});

describe("run", () => {
  const neverCreated = () => Promise.reject(new Error("must not be created"));

  it("gives the program its configuration, with flags and environment, and carries signals to it", async () => {
    const terminal = createFakeTerminal({ CONSUL_HTTP_TOKEN: "t" });
    const seen: { config: Config; configFile: string; version: string }[] = [];
    const code = await run(
      { config: good, logLevel: "debug", adminGrpc: "off" },
      { terminal, version: "1.2.3" },
      (config, options) => {
        seen.push({ config, ...options });
        return Promise.resolve({
          start: () => {
            queueMicrotask(() => terminal.signals.emit("SIGTERM", "SIGTERM"));
            return Promise.resolve();
          },
          stop: () => Promise.resolve(),
          reload: () => undefined,
          restart: () => undefined,
          abort: () => undefined,
        });
      },
    );
    expect(code).toBe(0);
    expect(seen).toMatchObject([
      {
        configFile: good,
        version: "1.2.3",
        config: { log: { level: "debug" }, consul: { token: "t" }, admin: { grpc: undefined } },
      },
    ]);
  });

  it("starts nothing from a bad file or flag", async () => {
    const terminal = createFakeTerminal();
    expect(await run({ config: bad }, { terminal, version: "1" }, neverCreated)).toBe(2);
    expect(await run({ config: good, logLevel: "loud" }, { terminal, version: "1" }, neverCreated)).toBe(2);
    expect(terminal.complaints.join("\n")).toContain('command line --log-level: found "loud"');
  });

  it("ends with 1 and a line when the program cannot be made", async () => {
    const terminal = createFakeTerminal();
    expect(await run({ config: good }, { terminal, version: "1" }, neverCreated)).toBe(1);
    expect(terminal.complaints.at(-1)).toBe("pilotfish: must not be created");
  });
});

describe("registry", () => {
  const listen = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  it("says where it is and what to try, and closes on a signal", async () => {
    const terminal = createFakeTerminal();
    const options: unknown[] = [];
    let isClosed = false;
    const start: StartRegistry = (given) => {
      options.push(given);
      const close = () => {
        isClosed = true;
        return Promise.resolve();
      };
      return Promise.resolve({ url: "http://127.0.0.1:1234", close });
    };
    const ended = runRegistry({ listen, nodeName: "n" }, { terminal }, start);
    await nextTurn();
    expect(options).toEqual([{ host: "127.0.0.1", port: 0, nodeName: "n" }]);
    expect(terminal.printed.join("\n")).toContain("http://127.0.0.1:1234/v1/health/service/web");
    expect(terminal.complaints).toEqual([]);
    terminal.signals.emit("SIGINT", "SIGINT");
    expect(await ended).toBe(0);
    expect(isClosed).toBe(true);
  });

  it("ends at once on a second signal", async () => {
    const terminal = createFakeTerminal();
    const neverClosed = { url: "http://x", close: () => new Promise<void>(() => undefined) };
    const ended = runRegistry({ listen }, { terminal }, () => Promise.resolve(neverClosed));
    await nextTurn();
    terminal.signals.emit("SIGINT", "SIGINT");
    await nextTurn();
    terminal.signals.emit("SIGTERM", "SIGTERM");
    expect(await ended).toBe(1);
  });

  it("warns of an address that others reach", async () => {
    const terminal = createFakeTerminal();
    const registry = { url: "http://x", close: () => Promise.resolve() };
    const ended = runRegistry({ listen: { ...listen, host: "0.0.0.0" } }, { terminal }, () =>
      Promise.resolve(registry),
    );
    await nextTurn();
    terminal.signals.emit("SIGTERM", "SIGTERM");
    await ended;
    expect(terminal.complaints.join()).toContain("can be reached from outside");
  });

  it("ends with 1 when the port is taken", async () => {
    const terminal = createFakeTerminal();
    const taken = Object.assign(new Error("x"), {
      code: "EADDRINUSE",
      syscall: "listen",
      address: "127.0.0.1",
      port: 8500,
    });
    expect(await runRegistry({ listen }, { terminal }, () => Promise.reject(taken))).toBe(1);
    expect(terminal.complaints).toEqual([
      "pilotfish: cannot listen on 127.0.0.1:8500: another program has it",
    ]);
  });
});
