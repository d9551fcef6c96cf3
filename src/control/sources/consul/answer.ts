/** A complete 2xx answer of Consul's HTTP API whose body is JSON of whatever shape. */
export interface ConsulResponse {
  readonly kind: "ok";
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ConsulHeaders;
  readonly body: unknown;
}

/** Response headers in lower case. */
export type ConsulHeaders = Readonly<Record<string, string | undefined>>;

/**
 * Why there is no answer to use:
 * - `network`: not connected, reset, TLS refused
 * - `timeout`: not complete in time
 * - `status`: any status but 2xx, with the beginning of its body
 * - `cut-short`: the connection ended inside the body
 * - `not-json`: a 2xx answer that is something else, such as a proxy's HTML page
 * - `too-large`: the body exceeds the limit
 * - `hidden`: the list is empty because the token may not read what is in it
 * - `credentials`: a token or certificate file could not be read
 * - `aborted`: by the caller
 */
export type ConsulFailure =
  | {
      readonly kind:
        | "network"
        | "timeout"
        | "cut-short"
        | "not-json"
        | "too-large"
        | "hidden"
        | "credentials"
        | "aborted";
      readonly message: string;
    }
  | ConsulRefusal;

/** Why there is no answer that can be used. */
export interface ConsulRefusal {
  readonly kind: "status";
  readonly status: number;
  /** First part of the body as text, one line. */
  readonly text: string;
  /** From `Retry-After`; undefined without it. */
  readonly retryAfterMs: number | undefined;
  readonly message: string;
}

/** What became of a request. */
export type ConsulAnswer = ConsulResponse | ConsulFailure;

/** Where a blocking query stands, from the headers of an answer. */
export interface QueryMeta {
  /** Unsigned 64 bits wide, so a number would lose its end. */
  readonly index: bigint;
  /** The token may not see everything there is (Consul 1.11 and later). */
  readonly isFilteredByAcls: boolean;
  /** False while the servers have no leader. */
  readonly hasLeader: boolean;
  /** For people: `lastContactMs`, `knownLeader`, `cache`, `age`, `filteredByAcls`, `backend`, where sent. */
  readonly details: Readonly<Record<string, string>>;
}

const indexMax = 2n ** 64n - 1n;

const detailHeaders: readonly (readonly [name: string, header: string])[] = [
  ["lastContactMs", "x-consul-lastcontact"],
  ["knownLeader", "x-consul-knownleader"],
  ["cache", "x-cache"],
  ["age", "age"],
  ["filteredByAcls", "x-consul-results-filtered-by-acls"],
  ["backend", "x-consul-query-backend"],
];

/** Undefined when `X-Consul-Index` is missing or no index: then it was not Consul that answered. */
export function readQueryMeta(headers: ConsulHeaders): QueryMeta | undefined {
  const text = headers["x-consul-index"]?.trim() ?? "";
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const index = BigInt(text);
  if (index > indexMax) return undefined;
  const details: Record<string, string> = {};
  for (const [name, header] of detailHeaders) {
    const value = headers[header];
    if (value !== undefined) details[name] = value.slice(0, 64);
  }
  return {
    index,
    isFilteredByAcls: details.filteredByAcls === "true",
    hasLeader: details.knownLeader !== "false",
    details,
  };
}

/**
 * Whether asking again is of no use until someone changes the configuration: a query that Consul cannot read.
 * Consul before 1.9 answers a bad filter with 500, so the text decides where the status does not.
 */
export function isPermanentRefusal(refusal: ConsulRefusal): boolean {
  if (refusal.status === 400) return true;
  return refusal.status === 500 && /boolean expression evaluator|filter expression/i.test(refusal.text);
}

/** What a person must know of a failed query. `needs` names the rights that the query takes. */
export function describeFailure(failure: ConsulFailure, needs: string): string {
  if (failure.kind !== "status") return failure.message;
  const said = failure.text === "" ? "" : ` (Consul says: ${failure.text})`;
  switch (failure.status) {
    case 401:
      return `credentials are asked for: set consul.token, or consul.auth for a proxy before the agent${said}`;
    case 403:
      return /acl not found/i.test(failure.text)
        ? `the token is unknown to Consul: expired, deleted or mistyped${said}`
        : `permission denied: the token lacks ${needs}${said}`;
    case 404:
      return /query not found/i.test(failure.text)
        ? `there is no such prepared query${said}`
        : `not found: something else than Consul answers at this address${said}`;
    case 429:
      return `Consul limits the rate of requests${said}`;
    case 500:
      if (/no cluster leader/i.test(failure.text)) return `the servers have no leader${said}`;
      break;
    case 502:
    case 503:
    case 504:
      return `no server can answer, or a proxy reaches no agent: status ${failure.status}${said}`;
  }
  return isPermanentRefusal(failure)
    ? `Consul cannot read the query, the configuration must change${said}`
    : failure.message;
}
