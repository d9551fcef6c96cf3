import { describe, expect, it } from "vitest";
import { type RunnableApp, supervise } from "../../../src/cli/supervise.js";
import { createFakeTerminal } from "./fake-terminal.js";

/** A promise whose end the test decides. */
class Deferred {
  resolve: () => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** Records what it is told; the test decides how start and stop end. */
class FakeApp implements RunnableApp {
  readonly calls: string[] = [];
  readonly started = new Deferred();
  readonly stopped = new Deferred();

  start(): Promise<void> {
    this.calls.push("start");
    return this.started.promise;
  }

  stop(reason: string): Promise<void> {
    this.calls.push(`stop ${reason}`);
    return this.stopped.promise;
  }

  restart(): void {
    this.calls.push("restart");
  }

  reload(): void {
    this.calls.push("reload");
  }

  abort(): void {
    this.calls.push("abort");
  }
}

function begin() {
  const app = new FakeApp();
  const terminal = createFakeTerminal();
  const ended = supervise(app, terminal);
  return { app, terminal, ended, send: (signal: string) => terminal.signals.emit(signal, signal) };
}

const listenError = (code: string, rest: object) =>
  Object.assign(new Error(`listen ${code}`), { code, syscall: "listen", ...rest });

describe("supervise", () => {
  it.each(["SIGTERM", "SIGINT"])("drains on %s and ends with 0 once all is closed", async (signal) => {
    const { app, terminal, ended, send } = begin();
    app.started.resolve();
    send(signal);
    expect(app.calls).toEqual(["start", `stop ${signal}`]);
    app.stopped.resolve();
    expect(await ended).toBe(0);
    expect(terminal.complaints).toEqual([]);
    expect(terminal.signals.eventNames()).toEqual([]);
  });

  it("cuts everything on a second signal and ends with 1", async () => {
    const { app, ended, send } = begin();
    app.started.resolve();
    send("SIGINT");
    send("SIGTERM");
    expect(await ended).toBe(1);
    expect(app.calls).toEqual(["start", "stop SIGINT", "abort"]);
  });

  it("reloads on SIGHUP as often as it comes", async () => {
    const { app, ended, send } = begin();
    app.started.resolve();
    send("SIGHUP");
    send("SIGHUP");
    send("SIGTERM");
    app.stopped.resolve();
    await ended;
    expect(app.calls).toEqual(["start", "reload", "reload", "stop SIGTERM"]);
  });

  it("restarts on SIGUSR2", async () => {
    const { app, ended, send } = begin();
    app.started.resolve();
    send("SIGUSR2");
    send("SIGTERM");
    app.stopped.resolve();
    await ended;
    expect(app.calls).toEqual(["start", "restart", "stop SIGTERM"]);
  });

  it("stops while the start is under way, and minds only how the stop ends", async () => {
    const { app, terminal, ended, send } = begin();
    send("SIGTERM");
    app.started.reject(new Error("interrupted"));
    app.stopped.resolve();
    expect(await ended).toBe(0);
    expect(terminal.complaints).toEqual([]);
  });

  it("ends with 1 when the stop fails", async () => {
    const { app, terminal, ended, send } = begin();
    app.started.resolve();
    send("SIGTERM");
    app.stopped.reject(new Error("a socket would not close"));
    expect(await ended).toBe(1);
    expect(terminal.complaints).toEqual(["pilotfish: a socket would not close"]);
    expect(app.calls).toContain("abort");
  });

  it.each([
    [
      listenError("EADDRINUSE", { address: "127.0.0.1", port: 80 }),
      "cannot listen on 127.0.0.1:80: another program has it",
    ],
    [
      listenError("EADDRINUSE", { address: "::", port: 80 }),
      "cannot listen on [::]:80: another program has it",
    ],
    [
      listenError("EACCES", { address: "/run/a.sock", port: -1 }),
      "cannot listen on /run/a.sock: permission denied (ports below 1024 need a privilege)",
    ],
    [
      new Error("listener front cannot open", {
        cause: listenError("EADDRINUSE", { address: "::1", port: 1 }),
      }),
      "listener front cannot open: cannot listen on [::1]:1: another program has it",
    ],
    [new Error("no certificate\n  in cert.pem"), "no certificate in cert.pem"],
    [
      Object.assign(new Error("EACCES: open a.pem"), { code: "EACCES", syscall: "open" }),
      "EACCES: open a.pem",
    ],
    ["odd", "odd"],
  ])("tells in one line why the start failed: %s", async (error, line) => {
    const { app, terminal, ended } = begin();
    app.started.reject(error);
    expect(await ended).toBe(1);
    expect(terminal.complaints).toEqual([`pilotfish: ${line}`]);
    expect(app.calls).toEqual(["start", "abort"]);
    expect(terminal.signals.eventNames()).toEqual([]);
  });
});
