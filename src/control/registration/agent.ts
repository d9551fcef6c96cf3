import type { ConsulConfig } from "../../config/model.js";
import type { ConsulAnswer, ConsulFailure } from "../sources/consul/answer.js";
import type { ConsulClient, ConsulRequest } from "../sources/consul/client.js";
import {
  type CheckStatus,
  checkIdPrefix,
  definitionOf,
  findDifference,
  type Instance,
  isRecord,
} from "./instance.js";
import type { Verdict } from "./neighbour.js";

/**
 * How a call to the agent ended:
 * - `done`: the agent holds what it should
 * - `lost`: it does not: it was restarted empty, or someone else changed it; register anew
 * - `failed`: nothing is known
 */
export type AgentReply =
  | { readonly kind: "done" }
  | { readonly kind: "lost"; readonly why: string }
  | { readonly kind: "failed"; readonly failure: ConsulFailure };

/** Longest wait for an answer. A remote server may have to be asked about the token. */
const CALL_TIMEOUT_MS = 5_000;
/** By this reason a maintenance is known as our own, so that an operator's is left alone. */
const MAINTENANCE_REASON = "pilotfish is stopped";

const DONE: AgentReply = { kind: "done" };

/** What an instance asks of the local agent. One call at a time; none rejects. */
export class InstanceAgent {
  readonly #instance: Instance;
  readonly #client: ConsulClient;
  readonly #query: Readonly<Record<string, string>>;

  /** @param consul names namespace and partition of the instance. */
  constructor(
    instance: Instance,
    client: ConsulClient,
    consul: Pick<ConsulConfig, "namespace" | "partition">,
  ) {
    const { namespace, partition } = consul;
    this.#instance = instance;
    this.#client = client;
    this.#query = {
      ...(namespace !== undefined && { ns: namespace }),
      ...(partition !== undefined && { partition }),
    };
  }

  /** Makes the instance known with one check. Further checks of it, made by others, stay. */
  async register(status: CheckStatus, signal: AbortSignal): Promise<AgentReply> {
    const body = definitionOf(this.#instance, status);
    return replyOf(await this.#put("/agent/service/register", { body, signal }));
  }

  /** Feeds the check with a time to live. */
  async report({ status, output }: Verdict, signal: AbortSignal): Promise<AgentReply> {
    const path = `/agent/check/update/${encodeURIComponent(this.#instance.checkId)}`;
    const answer = await this.#put(path, { body: { Status: status, Output: output }, signal });
    return isUnknown(answer) ? { kind: "lost", why: "the agent does not know the check" } : replyOf(answer);
  }

  /**
   * Looks whether the agent still holds what was registered, and takes away what an earlier life left behind: our
   * checks of another kind and our own maintenance.
   */
  async look(signal: AbortSignal): Promise<AgentReply> {
    const { id, checkId } = this.#instance;
    const found = await this.#get(`/agent/service/${encodeURIComponent(id)}`, {}, signal);
    if (isUnknown(found)) return { kind: "lost", why: "the agent does not know the service" };
    if (found.kind !== "ok") return replyOf(found);
    const difference = findDifference(found.body, this.#instance);
    if (difference !== undefined) return { kind: "lost", why: `someone changed its ${difference}` };
    const listed = await this.#get("/agent/checks", { filter: `ServiceID == ${JSON.stringify(id)}` }, signal);
    if (listed.kind !== "ok") return replyOf(listed);
    const checks = isRecord(listed.body) ? Object.values(listed.body).filter(isRecord) : [];
    const own = checks.filter((check) => check.ServiceID === id);
    if (!own.some((check) => check.CheckID === checkId))
      return { kind: "lost", why: "someone removed its check" };
    return this.#tidy(own, signal);
  }

  /** Takes the instance out of the catalog, or out of service. That the agent does not know it is well. */
  async leave(
    how: "deregister" | "maintenance",
    call: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<AgentReply> {
    const id = encodeURIComponent(this.#instance.id);
    const answer =
      how === "deregister"
        ? await this.#put(`/agent/service/deregister/${id}`, call)
        : await this.#put(`/agent/service/maintenance/${id}`, {
            ...call,
            query: { enable: "true", reason: MAINTENANCE_REASON },
          });
    return isUnknown(answer) ? DONE : replyOf(answer);
  }

  async #tidy(
    checks: readonly Readonly<Record<string, unknown>>[],
    signal: AbortSignal,
  ): Promise<AgentReply> {
    const { id, checkId } = this.#instance;
    for (const { CheckID, Notes } of checks) {
      if (typeof CheckID !== "string" || CheckID === checkId) continue;
      let answer: ConsulAnswer | undefined;
      if (CheckID === `_service_maintenance:${id}` && Notes === MAINTENANCE_REASON) {
        const path = `/agent/service/maintenance/${encodeURIComponent(id)}`;
        answer = await this.#put(path, { query: { enable: "false" }, signal });
      } else if (CheckID.startsWith(checkIdPrefix(id))) {
        answer = await this.#put(`/agent/check/deregister/${encodeURIComponent(CheckID)}`, { signal });
      }
      if (answer !== undefined && answer.kind !== "ok" && !isUnknown(answer)) return replyOf(answer);
    }
    return DONE;
  }

  #get(path: string, query: ConsulRequest["query"], signal: AbortSignal): Promise<ConsulAnswer> {
    const all = { ...this.#query, ...query };
    return this.#client.request({ path, query: all, timeoutMs: CALL_TIMEOUT_MS, signal });
  }

  #put(
    path: string,
    call: {
      readonly query?: ConsulRequest["query"];
      readonly body?: object;
      readonly timeoutMs?: number;
      readonly signal: AbortSignal;
    },
  ): Promise<ConsulAnswer> {
    return this.#client.request({
      method: "PUT",
      timeoutMs: CALL_TIMEOUT_MS,
      ...call,
      path,
      query: { ...this.#query, ...call.query },
    });
  }
}

function replyOf(answer: ConsulAnswer): AgentReply {
  return answer.kind === "ok" ? DONE : { kind: "failed", failure: answer };
}

/** Newer agents say 404; Consul 1.8 says of a check that it has none with a time to live, with 500. */
function isUnknown(answer: ConsulAnswer): boolean {
  if (answer.kind !== "status") return false;
  return (
    answer.status === 404 ||
    (answer.status === 500 && /associated TTL|unknown (check|service)/i.test(answer.text))
  );
}
