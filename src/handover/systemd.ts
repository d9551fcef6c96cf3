import { spawn } from "node:child_process";

/**
 * Tells the service manager, where there is one (sd_notify(3)). Node has no datagram sockets of the unix family, so
 * systemd's own `systemd-notify` speaks for it, which needs `NotifyAccess=all` in the unit. Never rejects.
 */
export function notifySystemd(state: string): Promise<void> {
  if ((process.env.NOTIFY_SOCKET ?? "") === "") return Promise.resolve();
  return new Promise((resolve) => {
    const child = spawn("systemd-notify", [state], { stdio: "ignore" });
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}
