import { spawn } from "node:child_process";

/** Longest wait for the service manager to be told. */
const TELL_MS = 2_000;

/**
 * Tells the service manager, where there is one (sd_notify(3)). Node has no datagram sockets of the unix family, so
 * systemd's own `systemd-notify` speaks for it, which needs `NotifyAccess=all` in the unit. Never rejects.
 */
export function notifySystemd(state: string): Promise<void> {
  if ((process.env.NOTIFY_SOCKET ?? "") === "") return Promise.resolve();
  return new Promise((resolve) => {
    const child = spawn("systemd-notify", [state], { stdio: "ignore", timeout: TELL_MS });
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}
