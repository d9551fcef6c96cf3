import { formatBind, isExposed } from "./address.js";
import type { Config, RouteConfig, ServiceConfig } from "./model.js";
import { findTcpOnly, poolsOf } from "./pool-use.js";
import type { Report } from "./report.js";
import type { ParsedConfig } from "./schema/config.js";

/**
 * Tells of what is allowed and yet hardly meant. The report must hold nothing else.
 *
 * @param asked what `config` was made of, where it leaves out what has no effect
 */
export function findWarnings(config: Config, asked: ParsedConfig, report: Report): void {
  const used = new Set(config.listeners.flatMap((listener) => poolsOf(listener)));
  for (const { fallback } of config.pools) if (fallback !== undefined) used.add(fallback);
  for (const [index, pool] of config.pools.entries()) {
    if (used.has(pool.name)) continue;
    report.add({
      path: ["pools", index, "name"],
      message: `no listener uses the pool ${pool.name}`,
      at: "value",
    });
  }
  warnOfUnreadOptions(config, asked, report);
  if (config.service !== undefined) warnOfAdvertised(config, config.service, report);
  for (const [index, listener] of config.listeners.entries()) {
    const path = ["listeners", index];
    if (listener.pool === undefined && listener.routes.length === 0) {
      report.add({ path, message: "no pool and no routes: every request is answered with 404", at: "value" });
    }
    const last = listener.routes.findIndex(isCatchAll);
    if (last >= 0 && last < listener.routes.length - 1) {
      const message = `never reached: routes[${last}] before it matches every request`;
      report.add({ path: [...path, "routes", last + 1], message, at: "value" });
    }
  }
}

/** A TCP listener knows nothing of its clients but their addresses, and its tunnels have no latency. */
function warnOfUnreadOptions({ listeners, pools }: Config, asked: ParsedConfig, report: Report): void {
  const isTcpOnly = findTcpOnly(listeners, pools);
  for (const [index, { name, affinity, balance }] of pools.entries()) {
    if (!isTcpOnly(name)) continue;
    const warn = (field: string, what: string) => {
      const message = `does nothing: only tcp listeners use the pool ${name}, and they read no ${what}; expected source`;
      report.add({ path: ["pools", index, field], message, at: "key" });
    };
    if (affinity?.type === "cookie") warn("affinity", "cookie");
    else if (affinity !== undefined && affinity.on !== "source") warn("affinity", affinity.on);
    if (asked.pools[index]?.limits.adaptive !== undefined) {
      const message = `does nothing: only tcp listeners use the pool ${name}, and a tunnel has no latency to follow; expected maxConnectionsPerBackend`;
      report.add({ path: ["pools", index, "limits", "adaptive"], message, at: "key" });
    }
    if ("on" in balance && balance.on !== "source") warn("balance", balance.on);
  }
}

/** What is registered is for others to connect to, and a loopback address is this machine's alone. */
function warnOfAdvertised(
  { listeners }: Config,
  { advertise, address }: ServiceConfig,
  report: Report,
): void {
  if (advertise.kind === "application" || address !== undefined) return;
  const binds = listeners.find(({ name }) => name === advertise.listener)?.bind ?? [];
  const first = binds.find(({ kind }) => kind !== "unix");
  if (first?.kind !== "tcp" || isExposed(first)) return;
  const message = `${formatBind(first)} is registered, which only this machine can reach`;
  report.add({ path: ["service"], message, at: "key" });
}

function isCatchAll({ match }: RouteConfig): boolean {
  const isAnyPath = match.path === undefined && (match.pathPrefix === undefined || match.pathPrefix === "/");
  return match.host === undefined && isAnyPath && match.method === undefined && match.headers.length === 0;
}
