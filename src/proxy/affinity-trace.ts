import type { AffinityConfig } from "../config/affinity-model.js";
import type { KeyConfig } from "../config/balance-model.js";
import type { Backend } from "../core/backend.js";
import type { AffinityClaim } from "../core/explain-affinity.js";
import { hashText } from "../core/hash.js";
import type { Pool } from "../core/pool.js";
import type { StickTable } from "../core/stick-table.js";
import type { Clock } from "../platform/clock.js";
import type { CookieAffinity } from "./affinity-cookie.js";
import { type KeyedHead, keyOf, type ReadFields } from "./request-key.js";

/** What is known of a request that is asked about. */
export interface TracedRequest {
  /** IP literal; empty where it is not known. */
  readonly clientAddress: string;
  /** With the query; empty for `/`. */
  readonly path: string;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies: Readonly<Record<string, string>>;
}

/** An affinity as it is built. */
interface AffinityParts {
  readonly config: AffinityConfig | undefined;
  readonly hashKey: KeyConfig | undefined;
  readonly pool: Pool;
  readonly table: StickTable | undefined;
  readonly cookie: CookieAffinity | undefined;
}

/** What keeps clients at backends, in words. */
export function affinityWords(config: AffinityConfig | undefined, hashKey: KeyConfig | undefined): string {
  const hashed = hashKey === undefined ? "" : `the hash of ${keyWords(hashKey)}`;
  if (config?.type === "cookie") return `the cookie ${config.name}${hashed === "" ? "" : `, else ${hashed}`}`;
  if (config?.type === "table")
    return `a table by ${keyWords(config)}${hashed === "" ? "" : `, else ${hashed}`}`;
  return hashed;
}

/** What a request says of its backend, and what that means now. */
export function traceAffinity(parts: AffinityParts, request: TracedRequest, clock: Clock): AffinityClaim {
  const { config, cookie, table, hashKey } = parts;
  const head = headOf(request);
  const client = { remoteAddress: request.clientAddress };
  const words: string[] = [];
  let key: string | undefined;
  let named: Backend | undefined;
  if (cookie !== undefined) {
    const record = { cookieState: "--" };
    ({ named } = cookie.claim(head.fields, record, clock.wallMs()));
    key = request.cookies[cookie.config.name];
    words.push(cookieWords(cookie.config.name, record.cookieState.charAt(0), named));
  } else if (config?.type === "table" && table !== undefined) {
    key = keyOf(config, head, client);
    const nowMs = clock.nowMs();
    const entry = key === undefined ? undefined : table.peek(key, nowMs);
    named = entry && parts.pool.backend(entry.backend);
    if (key === undefined) words.push(`the request has no ${bareWords(config)}`);
    else if (entry === undefined) words.push(`the table has no entry for ${key}`);
    else {
      const seconds = Math.ceil((entry.expiresMs - nowMs) / 1000);
      const gone = named === undefined ? ", which is not there any more" : "";
      words.push(`the table has ${key} at ${entry.backend} for another ${seconds} s${gone}`);
    }
  }
  const hashed = hashKey && keyOf(hashKey, head, client);
  if (hashKey !== undefined && hashed === undefined) words.push(`the request has no ${bareWords(hashKey)}`);
  if (hashKey !== undefined && hashed !== undefined) words.push(`${keyWords(hashKey)} is ${hashed}`);
  return {
    text: words.join("; "),
    key: key ?? hashed,
    named,
    hash: hashed === undefined ? undefined : hashText(hashed),
  };
}

function cookieWords(name: string, state: string, named: Backend | undefined): string {
  if (named !== undefined) return `the cookie ${name} names ${named.endpoint.id} at ${named.address}`;
  switch (state) {
    case "N":
      return `the request has no cookie ${name}`;
    case "E":
      return `the cookie ${name} was unused for too long`;
    case "O":
      return `the cookie ${name} was given too long ago`;
    default:
      return `the cookie ${name} names no backend that is there`;
  }
}

function keyWords(key: KeyConfig): string {
  return `the ${bareWords(key)}`;
}

function bareWords({ on, name }: KeyConfig): string {
  switch (on) {
    case "source":
      return "client's address";
    case "header":
      return `field ${name}`;
    case "cookie":
      return `cookie ${name}`;
    case "path":
      return "path";
    case "query":
      return `parameter ${name}`;
  }
}

function headOf({ headers, cookies, path }: TracedRequest): KeyedHead {
  const named = Object.entries(cookies).map(([name, value]) => `${name}=${value}`);
  const pairs = Object.entries(headers);
  if (named.length > 0) pairs.push(["cookie", named.join("; ")]);
  const fields: ReadFields = {
    count: pairs.length,
    nameAt: (index) => pairs[index]?.[0] ?? "",
    valueAt: (index) => pairs[index]?.[1] ?? "",
  };
  return {
    target: path === "" ? "/" : path,
    authority: headers.host ?? "",
    fields,
    value: (name) => headers[name],
  };
}
