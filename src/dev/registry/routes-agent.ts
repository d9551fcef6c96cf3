import { createHash } from "node:crypto";
import { isCheckStatus, readCheckDefinition } from "./check-definition.js";
import type { Exchange, Reply } from "./exchange.js";
import { compileFilter } from "./filter.js";
import { checkSchema, serviceSchema } from "./filter-schema.js";
import { parseGoBool } from "./go-duration.js";
import { readFields, readString } from "./go-struct.js";
import { HttpProblem } from "./http-problem.js";
import { aggregateStatus, type LocalAgent } from "./local-agent.js";
import type { Route } from "./router.js";
import { readServiceDefinition } from "./service-definition.js";
import { agentHealthCheck, agentService, type ServiceFields } from "./shapes.js";

const statusCodes: Readonly<Record<string, number>> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
};

/** Routes that register, check and list what is local to the agent. */
export function agentRoutes(agent: LocalAgent): Route[] {
  return [
    { path: "/v1/agent/services", methods: { GET: (exchange) => listServices(agent, exchange) } },
    { path: "/v1/agent/checks", methods: { GET: (exchange) => listChecks(agent, exchange) } },
    { path: "/v1/agent/service/", methods: { GET: (exchange) => getService(agent, exchange) } },
    {
      path: "/v1/agent/service/register",
      methods: { PUT: (exchange) => registerService(agent, exchange) },
    },
    {
      path: "/v1/agent/service/deregister/",
      methods: { PUT: (exchange) => done(exchange, () => agent.deregisterService(exchange.rest)) },
    },
    {
      path: "/v1/agent/service/maintenance/",
      methods: { PUT: (exchange) => maintainService(agent, exchange) },
    },
    { path: "/v1/agent/maintenance", methods: { PUT: (exchange) => maintainNode(agent, exchange) } },
    { path: "/v1/agent/check/register", methods: { PUT: (exchange) => registerCheck(agent, exchange) } },
    {
      path: "/v1/agent/check/deregister/",
      methods: { PUT: (exchange) => done(exchange, () => agent.deregisterCheck(exchange.rest)) },
    },
    ...(["pass", "warn", "fail"] as const).map((verb) => reportRoute(agent, verb)),
    { path: "/v1/agent/check/update/", methods: { PUT: (exchange) => updateCheck(agent, exchange) } },
    {
      path: "/v1/agent/health/service/id/",
      methods: { GET: (exchange) => healthById(agent, exchange) },
    },
    {
      path: "/v1/agent/health/service/name/",
      methods: { GET: (exchange) => healthByName(agent, exchange) },
    },
  ];
}

function done(exchange: Exchange, act: () => void): Reply {
  act();
  return exchange.done();
}

function listServices(agent: LocalAgent, exchange: Exchange): Reply {
  const accepts = compileFilter(exchange.query.get("filter") ?? "", serviceSchema);
  const kept = [...agent.services.values()]
    .filter(accepts)
    .map((service) => [service.ID, agentService(service)]);
  return exchange.json(Object.fromEntries(kept));
}

function listChecks(agent: LocalAgent, exchange: Exchange): Reply {
  const accepts = compileFilter(exchange.query.get("filter") ?? "", checkSchema);
  const kept = agent
    .checks()
    .filter(accepts)
    .map((check) => [check.CheckID, { ...check, CreateIndex: 0, ModifyIndex: 0 }]);
  return exchange.json(Object.fromEntries(kept));
}

function contentHash(service: ServiceFields): string {
  return createHash("sha256")
    .update(JSON.stringify(agentService(service)))
    .digest("hex")
    .slice(0, 16);
}

/** One service; `?hash=` blocks until the content differs, since local services have no index. */
async function getService(agent: LocalAgent, exchange: Exchange): Promise<Reply> {
  const find = () => {
    const service = agent.services.get(exchange.rest);
    if (service === undefined) throw new HttpProblem(404, `unknown service ID: ${exchange.rest}`);
    return service;
  };
  const known = exchange.query.get("hash") ?? "";
  if (contentHash(find()) === known) {
    const isDifferent = () => {
      const service = agent.services.get(exchange.rest);
      return service === undefined || contentHash(service) !== known;
    };
    await exchange.wait(isDifferent, exchange.waitMs());
  }
  const service = find();
  const hash = contentHash(service);
  return exchange.json({ ...agentService(service), ContentHash: hash }, { "X-Consul-ContentHash": hash });
}

async function registerService(agent: LocalAgent, exchange: Exchange): Promise<Reply> {
  const replaces = exchange.query.has("replace-existing-checks") && exchange.flag("replace-existing-checks");
  const definition = await exchange.decode(readServiceDefinition);
  agent.registerService(definition, replaces);
  return exchange.done();
}

async function registerCheck(agent: LocalAgent, exchange: Exchange): Promise<Reply> {
  agent.registerCheck(await exchange.decode(readCheckDefinition));
  return exchange.done();
}

const statusOfVerb = { pass: "passing", warn: "warning", fail: "critical" } as const;

function reportRoute(agent: LocalAgent, verb: keyof typeof statusOfVerb): Route {
  const report = (exchange: Exchange) =>
    done(exchange, () =>
      agent.reportTtl(exchange.rest, statusOfVerb[verb], exchange.query.get("note") ?? ""),
    );
  return { path: `/v1/agent/check/${verb}/`, methods: { PUT: report } };
}

async function updateCheck(agent: LocalAgent, exchange: Exchange): Promise<Reply> {
  const update = await exchange.decode((body) => {
    const fields = readFields(body, ["Status", "Output"] as const, "value");
    return {
      status: readString(fields.Status, "checkUpdate.Status"),
      output: readString(fields.Output, "checkUpdate.Output"),
    };
  });
  if (!isCheckStatus(update.status)) throw new HttpProblem(400, `Invalid check status: '${update.status}'`);
  agent.reportTtl(exchange.rest, update.status, update.output);
  return exchange.done();
}

function readEnable(exchange: Exchange): boolean {
  const text = exchange.query.get("enable");
  if (text === null) throw new HttpProblem(400, "Missing value for enable");
  const isEnabled = parseGoBool(text);
  if (isEnabled === undefined)
    throw new HttpProblem(400, `Invalid value for enable: ${JSON.stringify(text)}`);
  return isEnabled;
}

function maintainService(agent: LocalAgent, exchange: Exchange): Reply {
  const id = exchange.required("Missing service ID");
  agent.setServiceMaintenance(id, readEnable(exchange), exchange.query.get("reason") ?? "");
  return exchange.done();
}

function maintainNode(agent: LocalAgent, exchange: Exchange): Reply {
  agent.setNodeMaintenance(readEnable(exchange), exchange.query.get("reason") ?? "");
  return exchange.done();
}

function healthOf(agent: LocalAgent, service: ServiceFields) {
  const checks = agent.checksOf(service.ID);
  return {
    AggregatedStatus: aggregateStatus(checks),
    Service: agentService(service),
    Checks: checks.map(agentHealthCheck),
  };
}

function replyHealth(exchange: Exchange, code: number, text: string, value: unknown): Reply {
  if (exchange.query.get("format") === "text") {
    return { status: code, contentType: "text/plain", body: text, headers: {} };
  }
  return exchange.json(value, {}, code);
}

function healthById(agent: LocalAgent, exchange: Exchange): Reply {
  const id = exchange.required("Missing serviceID");
  const service = agent.services.get(id);
  if (service === undefined) {
    // Asked for text, Consul answers this one case as a JSON string.
    const isText = exchange.query.get("format") === "text";
    const nothing = { AggregatedStatus: "critical", Service: null, Checks: null };
    return exchange.json(isText ? `ServiceId ${id} not found` : nothing, {}, 404);
  }
  const health = healthOf(agent, service);
  return replyHealth(exchange, statusCodes[health.AggregatedStatus] ?? 503, health.AggregatedStatus, health);
}

function healthByName(agent: LocalAgent, exchange: Exchange): Reply {
  const name = exchange.required("Missing service Name");
  const all = [...agent.services.values()].filter((service) => service.Service === name);
  if (all.length === 0) return replyHealth(exchange, 404, `ServiceName ${name} Not Found`, []);
  const healths = all.map((service) => healthOf(agent, service));
  const worst =
    ["maintenance", "critical", "warning"].find((status) =>
      healths.some((health) => health.AggregatedStatus === status),
    ) ?? "passing";
  return replyHealth(exchange, statusCodes[worst] ?? 503, worst, healths);
}
