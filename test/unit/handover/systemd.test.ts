import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { notifySystemd } from "../../../src/handover/systemd.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pilotfish-notify-"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A program in the place of systemd's, that notes what it is told. */
function listenIn(end: string): string {
  const heard = join(folder, "heard");
  writeFileSync(heard, "");
  const program = join(folder, "systemd-notify");
  writeFileSync(program, `#!/bin/sh\necho "$*" >> "${heard}"\n${end}\n`);
  chmodSync(program, 0o755);
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  return heard;
}

it("tells a service manager that listens, and waits until it was told", async () => {
  const heard = listenIn("exit 0");
  vi.stubEnv("NOTIFY_SOCKET", "/run/notify");
  await notifySystemd("READY=1");
  await notifySystemd("MAINPID=7");
  expect(readFileSync(heard, "utf8")).toBe("READY=1\nMAINPID=7\n");
});

it("tells nobody where there is none", async () => {
  const heard = listenIn("exit 0");
  vi.stubEnv("NOTIFY_SOCKET", "");
  await notifySystemd("READY=1");
  expect(readFileSync(heard, "utf8")).toBe("");
});

it("takes no harm from a teller that fails or is missing", async () => {
  listenIn("exit 1");
  vi.stubEnv("NOTIFY_SOCKET", "/run/notify");
  await notifySystemd("READY=1");
  vi.stubEnv("PATH", folder);
  rmSync(join(folder, "systemd-notify"));
  await notifySystemd("READY=1");
});
