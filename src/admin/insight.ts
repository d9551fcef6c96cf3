import { isIP } from "node:net";
import type { Backend } from "../core/backend.js";
import { type Candidate as CoreCandidate, explainPick } from "../core/explain.js";
import { tunnelWords } from "../core/explain-tunnels.js";
import type { Pool } from "../core/pool.js";
import { pickAffinityMessage } from "./affinity-messages.js";
import type { UnaryMethod } from "./calls.js";
import { REFUSAL } from "./enums.js";
import { optional, upTo } from "./fields.js";
import {
  type Candidate,
  type ExplainPickRequest,
  type ExplainPickResponse,
  type GetDiscoveryRequest,
  type GetDiscoveryResponse,
  Refusal,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { Messages } from "./messages.js";
import { backendNamed, poolNamed, poolsNamed } from "./naming.js";
import type { AdminPorts, TracedRequest } from "./ports.js";
import { invalid } from "./refusal.js";
import type { Timestamps } from "./timestamps.js";

const DEFAULT_CANDIDATES = 100;
const MOST_CANDIDATES = 1000;
const MOST_AVOIDED = 16;

/** GetDiscovery and ExplainPick. */
export interface InsightMethods {
  readonly getDiscovery: UnaryMethod<GetDiscoveryRequest, GetDiscoveryResponse>;
  readonly explainPick: UnaryMethod<ExplainPickRequest, ExplainPickResponse>;
}

/** Builds the methods that say why things are as they are. */
export function insightMethods(ports: AdminPorts, messages: Messages, time: Timestamps): InsightMethods {
  return {
    getDiscovery: (request) => ({
      pools: poolsNamed(ports.pools, request.pool).map((pool) => {
        const { present } = pool.census();
        return {
          pool: pool.name,
          applied: time.at(pool.appliedMs),
          weightScale: pool.weightScale,
          backends: present,
          leaving: pool.size - present,
          sources: messages.sources(pool.name),
        };
      }),
    }),

    explainPick: (request) => {
      const most = upTo("max_candidates", request.maxCandidates, MOST_CANDIDATES) || DEFAULT_CANDIDATES;
      const pool = onePool(ports, request.pool);
      const avoid = avoided(ports, pool, request.avoid);
      const claim = ports.affinity(pool.name)?.trace(tracedRequest(request));
      const trace = explainPick(pool, avoid, { bound: claim?.named, hash: claim?.hash }, time.nowMs());
      return {
        pool: pool.name,
        algorithm: pool.algorithm,
        picked: trace.picked?.id ?? "",
        refusal: trace.refusal === undefined ? Refusal.REFUSAL_UNSPECIFIED : REFUSAL[trace.refusal],
        summary: `${trace.summary}${ports.takesTunnels(pool.name) ? tunnelWords(pool) : ""}`,
        candidates: trace.candidates.slice(0, most).map((each) => candidateMessage(each, messages, time)),
        totalCandidates: trace.candidates.length,
        affinity: claim && pickAffinityMessage(pool, claim, trace.picked, avoid),
      };
    },
  };
}

/** Most fields and cookies that may be told of a request, and the longest of their values. */
const MOST_FIELDS = 64;
const LONGEST_VALUE = 8192;

function tracedRequest({ clientAddress, path, headers, cookies }: ExplainPickRequest): TracedRequest {
  if (clientAddress !== "" && isIP(clientAddress) === 0)
    throw invalid("client_address", `must be an IP address, found ${JSON.stringify(clientAddress)}`);
  if (path !== "" && !path.startsWith("/"))
    throw invalid("path", `must begin with /, found ${JSON.stringify(path)}`);
  limited("path", { path });
  limited("headers", headers);
  limited("cookies", cookies);
  const byLowerName = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { clientAddress, path, headers: Object.fromEntries(byLowerName), cookies };
}

function limited(field: string, values: Readonly<Record<string, string>>): void {
  const all = Object.values(values);
  if (all.length > MOST_FIELDS) throw invalid(field, `must hold at most ${MOST_FIELDS}, found ${all.length}`);
  if (all.some((value) => value.length > LONGEST_VALUE))
    throw invalid(field, `must be at most ${LONGEST_VALUE} characters each`);
}

function onePool(ports: AdminPorts, name: string): Pool {
  const given = optional("pool", name);
  if (given !== undefined) return poolNamed(ports.pools, given);
  const [only, ...others] = ports.pools.values();
  if (only === undefined || others.length > 0)
    throw invalid("pool", `must be set: there are ${ports.pools.size} pools`);
  return only;
}

function avoided(ports: AdminPorts, pool: Pool, names: readonly string[]): Backend[] {
  if (names.length > MOST_AVOIDED)
    throw invalid("avoid", `must hold at most ${MOST_AVOIDED}, found ${names.length}`);
  return names.flatMap((backend) =>
    backendNamed(ports.pools, { pool: pool.name, backend }).flatMap(({ backends }) => backends),
  );
}

function candidateMessage(candidate: CoreCandidate, messages: Messages, time: Timestamps): Candidate {
  const { backend } = candidate;
  return {
    backend: backend.id,
    id: backend.endpoint.id,
    address: backend.address,
    picked: candidate.isPicked,
    eligible: candidate.isEligible,
    available: candidate.isAvailable,
    avoided: candidate.isAvoided,
    reasons: candidate.reasons.map((reason) => ({
      layer: reason.layer,
      text: reason.text,
      since: time.at(reason.sinceMs),
      until: time.at(reason.untilMs),
    })),
    load: candidate.load,
    inFlight: backend.inFlight,
    inFlightLimit: backend.row.limit,
    weight: messages.weight(candidate.weight),
    text: candidate.text,
    tier: candidate.tier,
    takesWork: candidate.takesWork,
  };
}
