// http-proxy with an agent that keeps connections, the setting its documentation gives for throughput.
import { Agent } from "node:http";
import httpProxy from "http-proxy";
import { inTurn, serve } from "./node-host.mjs";

const next = inTurn((target) => {
  const proxy = httpProxy.createProxyServer({ target, agent: new Agent({ keepAlive: true }), xfwd: true });
  // The client that went away is counted by the load generator if it matters.
  proxy.on("error", (_error, _req, res) => res.destroy());
  return proxy;
});
serve((req, res) => next().web(req, res));
