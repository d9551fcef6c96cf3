import type { ConsulAnswer } from "./answer.js";
import type { ConsulRequest, ConsulRequestFunction } from "./client.js";

/** A right that a query takes, in Consul's words: `service:read` on `web`. */
export interface Right {
  readonly resource: "service" | "node";
  readonly segment: string;
}

const AUTHORIZE_TIMEOUT_MS = 5_000;

/**
 * Asks whether a list is empty, or only hidden. Consul leaves out what the token may not read and answers 200 all the
 * same; versions before 1.11 do not say so. So after each empty list the agent is asked what the token may read
 * (`/v1/internal/acl/authorize`, since 1.7). An agent that does not know, or has no ACLs, is believed.
 *
 * @param rights that the query takes, as far as they are known now.
 */
export function seeingWhatIsHidden(
  request: ConsulRequestFunction,
  rights: () => readonly Right[],
): ConsulRequestFunction {
  return async (asked) => {
    const answer = await request(asked);
    if (answer.kind !== "ok" || !Array.isArray(answer.body) || answer.body.length > 0) return answer;
    const lacking = readDenied(await request(authorization(asked, rights())));
    if (lacking.length === 0) return answer;
    const words = lacking.map(({ resource, segment }) => `${resource}:read on ${nameOf(segment)}`);
    return {
      kind: "hidden",
      message: `every instance is hidden from the token: it lacks ${words.join(" and ")}`,
    };
  };
}

function authorization({ query, signal }: ConsulRequest, rights: readonly Right[]): ConsulRequest {
  const { dc, ns, partition } = query;
  return {
    method: "POST",
    path: "/internal/acl/authorize",
    query: {
      ...(dc !== undefined && { dc }),
      ...(ns !== undefined && { ns }),
      ...(partition !== undefined && { partition }),
    },
    body: rights.map(({ resource, segment }) => ({ Resource: resource, Access: "read", Segment: segment })),
    timeoutMs: AUTHORIZE_TIMEOUT_MS,
    signal,
  };
}

function readDenied(answer: ConsulAnswer): readonly Right[] {
  if (answer.kind !== "ok" || !Array.isArray(answer.body)) return [];
  return answer.body.flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { Resource: resource, Segment: segment, Allow: allow } = entry as Readonly<Record<string, unknown>>;
    const isRight = (resource === "service" || resource === "node") && typeof segment === "string";
    return allow === false && isRight ? [{ resource, segment }] : [];
  });
}

/** Of nodes none is known before the first list. */
function nameOf(segment: string): string {
  return segment === "" ? "its nodes" : JSON.stringify(segment);
}
