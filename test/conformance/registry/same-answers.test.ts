import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isConsulMissing, type RunningRegistry, startConsul } from "../../support/consul.js";
import { startEmbedded } from "../../support/registry.js";
import { call, type RegistryAnswer } from "../../support/registry-client.js";
import type { Step } from "./conversation.js";
import { conversations } from "./conversations.js";

function describeStep(step: Step): string {
  return `${step.method} ${step.path} ${JSON.stringify(step.body)?.slice(0, 200) ?? ""}`;
}

/** Fields whose values two catalogs can never share. */
const volatileFields = new Set(["CreateIndex", "ModifyIndex", "ContentHash"]);

function normalise(value: unknown, key = ""): unknown {
  if (typeof value === "number" && volatileFields.has(key)) return value === 0 ? 0 : "some index";
  if (typeof value === "string" && key === "ContentHash") return "some hash";
  if (typeof value === "string" && /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(value)) return "some id";
  if (Array.isArray(value)) return value.map((item) => normalise(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normalise(item, name)]));
}

/** The agent's own health answers list checks in the order of a hash table. */
function sortChecks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortChecks);
  if (typeof value !== "object" || value === null || !("Checks" in value)) return value;
  const { Checks } = value;
  if (!Array.isArray(Checks)) return value;
  return { ...value, Checks: [...Checks].sort((a, b) => (a.CheckID < b.CheckID ? -1 : 1)) };
}

/** Tags of a service name are a set; a hash table gives their order. */
function sortTags(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, tags]) => [name, Array.isArray(tags) ? [...tags].sort() : tags]),
  );
}

function summarise(step: Step, answer: RegistryAnswer): unknown {
  const raw = step.path.startsWith("catalog/services") ? sortTags(answer.json) : answer.json;
  const body = answer.contentType === "application/json" ? normalise(raw) : answer.text;
  return {
    status: answer.status,
    contentType: answer.contentType,
    hasIndex: answer.index !== undefined,
    allow: answer.headers.get("allow"),
    consistency: answer.headers.get("x-consul-effective-consistency"),
    knownLeader: answer.headers.get("x-consul-knownleader"),
    body: step.compares === "status" ? "not compared" : sortChecks(body),
  };
}

/** Lists whose index must move, or stay, with every write in the same way on both sides. */
const watchedPaths = [
  "health/service/web",
  "health/service/db",
  "health/service/never",
  "health/service/consul",
  "health/node/node1",
  "health/state/any",
  "health/checks/web",
  "catalog/services",
  "catalog/service/web",
  "catalog/service/never",
  "catalog/nodes",
  "catalog/node/node1",
  "kv/a",
  "kv/never",
  "kv/?recurse",
  "kv/a?recurse",
];

async function readIndexes(url: string): Promise<Map<string, number | undefined>> {
  const answers = await Promise.all(watchedPaths.map((path) => call(url, "GET", path)));
  return new Map(watchedPaths.map((path, position) => [path, answers[position]?.index]));
}

/** One catalog whose lists are looked at after every write. */
class IndexObserver {
  readonly #url: string;
  #last = new Map<string, number | undefined>();

  constructor(url: string) {
    this.#url = url;
  }

  /** Lists whose index is another one than last time. */
  async moved(): Promise<string[]> {
    const before = this.#last;
    this.#last = await readIndexes(this.#url);
    return watchedPaths.filter((path) => before.get(path) !== this.#last.get(path));
  }

  /** Sends a write and tells which lists it moved. */
  async movedBy(step: Step): Promise<string[]> {
    await call(this.#url, step.method, step.path, step.body);
    return this.moved();
  }
}

describe.skipIf(isConsulMissing())("the embedded catalog beside a real Consul", () => {
  let embedded: RunningRegistry;
  let consul: RunningRegistry;

  beforeAll(async () => {
    [embedded, consul] = await Promise.all([startEmbedded(), startConsul()]);
  });
  afterAll(async () => {
    await Promise.all([embedded?.stop(), consul?.stop()]);
  });

  it.each(conversations)("answers the same on $title", async ({ steps }) => {
    for (const step of steps) {
      const [ours, theirs] = await Promise.all(
        [embedded, consul].map((side) => call(side.url, step.method, step.path, step.body)),
      );
      if (ours === undefined || theirs === undefined) throw new Error("no answer");
      expect(summarise(step, ours), describeStep(step)).toEqual(summarise(step, theirs));
    }
  });
});

describe.skipIf(isConsulMissing())("the embedded catalog's indexes beside a real Consul's", () => {
  let embedded: RunningRegistry;
  let consul: RunningRegistry;

  beforeAll(async () => {
    [embedded, consul] = await Promise.all([startEmbedded(), startConsul()]);
  });
  afterAll(async () => {
    await Promise.all([embedded?.stop(), consul?.stop()]);
  });

  const register = (body: object): Step => ({ method: "PUT", path: "agent/service/register", body });
  const put = (path: string, body?: unknown): Step => ({ method: "PUT", path, body });
  const web = { Name: "web", Port: 80, Check: { TTL: "60s" } };
  const writes: readonly Step[] = [
    register({ Name: "other" }),
    register(web),
    register(web),
    put("agent/check/pass/service:web"),
    put("agent/check/pass/service:web"),
    put("agent/check/pass/service:web?note=other%20output"),
    register({ ...web, Port: 81 }),
    register({ Name: "db" }),
    register({ Name: "db" }),
    put("agent/service/maintenance/web?enable=true"),
    put("agent/service/maintenance/web?enable=true"),
    put("agent/service/maintenance/web?enable=false"),
    put("agent/check/register", { Name: "disk", TTL: "60s" }),
    put("agent/check/warn/disk"),
    put("agent/check/deregister/disk"),
    put("agent/service/deregister/other"),
    register({ Name: "other" }),
    put("agent/check/deregister/service:web"),
    put("agent/service/deregister/web"),
    put("agent/service/deregister/web"),
    put("catalog/register", { Node: "n2", Address: "10.0.0.2" }),
    put("catalog/register", { Node: "n2", Address: "10.0.0.2" }),
    put("catalog/register", { Node: "n2", Address: "10.0.0.2", Service: { Service: "web" } }),
    put("catalog/register", { Node: "n2", Address: "10.0.0.3" }),
    put("catalog/register", { Node: "n2", SkipNodeUpdate: true, Service: { ID: "web", Service: "web2" } }),
    put("catalog/deregister", { Node: "n2", ServiceID: "web" }),
    put("catalog/deregister", { Node: "n2" }),
    put("kv/b", "1"),
    put("kv/a", "1"),
    put("kv/a", "1"),
    put("kv/a?flags=1", "1"),
    put("kv/a?cas=0", "2"),
    put("kv/a/deep", "1"),
    put("kv/b", "2"),
    { method: "DELETE", path: "kv/a/deep" },
    { method: "DELETE", path: "kv/a" },
    { method: "DELETE", path: "kv/a" },
    { method: "DELETE", path: "kv/?recurse" },
  ];

  it("move for the same lists with every write", async () => {
    const observers = [embedded, consul].map((side) => new IndexObserver(side.url));
    await Promise.all(observers.map((observer) => observer.moved()));
    for (const step of writes) {
      const [ours, theirs] = await Promise.all(observers.map((observer) => observer.movedBy(step)));
      expect(ours, describeStep(step)).toEqual(theirs);
    }
  });
});
