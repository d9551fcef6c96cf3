import { createHmac } from "node:crypto";
import type { CookieAffinityConfig } from "../config/affinity-model.js";
import type { Backend } from "../core/backend.js";
import {
  type CookieLimits,
  type DatedCookie,
  isRefreshDue,
  NO_DATES,
  readCookie,
  writeCookie,
} from "../core/cookie-dates.js";
import type { Pool } from "../core/pool.js";
import { takesBoundWork } from "../core/wish.js";
import type { AccessRecord } from "./access-record.js";
import { isCacheable } from "./cacheable.js";
import type { FieldList, ResponseHead } from "./message.js";
import { allValues, ReplacedFields, responseWith } from "./replaced-fields.js";
import { cookieOf, type ReadFields } from "./request-key.js";

/** HAProxy's: makes a client forget the cookie. */
const FORGET = "; Expires=Thu, 01-Jan-1970 00:00:01 GMT";
/** Hexadecimal digits of a dynamic value. */
const DIGEST_LENGTH = 16;
const PREFIX_END = "~";
/** What a cookie's value cannot hold (RFC 6265 section 4.1.1), nor ours, where it has a meaning. */
const NOT_IN_VALUE = /[^!#-+\--:<-[\]-{}]/g;

/** What the client's cookie said. */
interface Claim {
  readonly cookie: DatedCookie;
  /** The backend it is bound to; undefined where it is bound to none. */
  readonly bound: Backend | undefined;
  /** The backend it names, whether or not that one takes bound work. */
  readonly named: Backend | undefined;
}

const NO_CLAIM: Claim = {
  cookie: { server: "", state: "valid", ...NO_DATES },
  bound: undefined,
  named: undefined,
};

/** Request path. HAProxy's cookie persistence for the backends of a pool. */
export class CookieAffinity {
  readonly config: CookieAffinityConfig;
  readonly #pool: Pool;
  readonly #limits: CookieLimits;
  readonly #attributes: string;
  /** Backends by what names them, made anew when membership changes. */
  #byValue: ReadonlyMap<string, readonly Backend[]> | undefined;
  readonly #values = new WeakMap<Backend, string>();

  constructor(config: CookieAffinityConfig, pool: Pool) {
    this.config = config;
    this.#pool = pool;
    this.#limits = {
      maxIdleSeconds: Math.ceil(config.maxIdleMs / 1000),
      maxLifeSeconds: Math.ceil(config.maxLifeMs / 1000),
    };
    this.#attributes = attributesOf(config);
  }

  /** Membership or descriptions changed. */
  forget(): void {
    this.#byValue = undefined;
  }

  /** Reads what the client's cookie says and tells the access record (HAProxy's third letter). */
  claim(fields: ReadFields, record: Pick<AccessRecord, "cookieState">, wallMs: number): Claim {
    const text = cookieOf(fields, this.config.name);
    if (text === undefined || text === "") {
      record.cookieState = "NN";
      return NO_CLAIM;
    }
    const cookie = this.#read(text, wallMs);
    if (cookie.state !== "valid") {
      record.cookieState = cookie.state === "old" ? "ON" : "EN";
      return { cookie, bound: undefined, named: undefined };
    }
    const holders = this.#backendsNamed(cookie.server);
    const bound = this.#boundOf(holders);
    record.cookieState = bound !== undefined ? "VN" : holders.length > 0 ? "DN" : "IN";
    return { cookie, bound, named: bound ?? holders[0] };
  }

  /** In prefix mode, as in HAProxy, what stands before the end mark is the name, undated; without a mark all of it is. */
  #read(text: string, wallMs: number): DatedCookie {
    if (this.config.mode !== "prefix") return readCookie(text, this.#limits, Math.floor(wallMs / 1000));
    const end = text.indexOf(PREFIX_END);
    return { server: end < 0 ? text : text.slice(0, end), state: "valid", ...NO_DATES };
  }

  /** The one that is well before one that sessions go to all the same. */
  #boundOf(holders: readonly Backend[]): Backend | undefined {
    const well = holders.find((backend) => takesBoundWork(backend, false));
    if (well !== undefined || this.#pool.options.persist !== true) return well;
    return holders.find((backend) => takesBoundWork(backend, true));
  }

  /** The request as the application is to see it. */
  requestFields(fields: FieldList): FieldList {
    const { mode, indirect, name } = this.config;
    if (mode === "rewrite" || (mode === "insert" && !indirect)) return fields;
    if (cookieOf(fields, name) === undefined) return fields;
    let lines = "";
    for (const value of allValues(fields, "cookie")) {
      const pairs = value.split(";").flatMap((pair) => this.#pairForApplication(pair));
      if (pairs.length > 0) lines += `cookie: ${pairs.join("; ")}\r\n`;
    }
    return new ReplacedFields(fields, "cookie", lines);
  }

  /** The answer as the client is to see it; tells the access record (HAProxy's fourth letter). */
  answered(
    answer: ResponseHead,
    method: string,
    backend: Backend,
    claim: Claim,
    record: AccessRecord,
    wallMs: number,
  ): ResponseHead {
    const own = allValues(answer.fields, "set-cookie");
    const isSet = own.some((value) => this.#isOurs(value));
    if (this.config.mode === "insert")
      return this.#inserted(answer, method, backend, claim, record, wallMs, own, isSet);
    const value = this.valueOf(backend);
    if (!isSet || value === undefined) return answer;
    record.cookieState = `${record.cookieState[0]}R`;
    const lines = own.map((each) => (this.#isOurs(each) ? this.#rewritten(each, value) : each));
    return withCookies(answer, lines, "");
  }

  /** What names a backend in the cookie; undefined where it has none. */
  valueOf(backend: Backend): string | undefined {
    const { value, secret, meta } = this.config;
    const { endpoint } = backend;
    if (value === "id") return plain(endpoint.id);
    if (value === "meta") return plain(endpoint.meta[meta] ?? "") || undefined;
    let digest = this.#values.get(backend);
    if (digest === undefined) {
      digest = createHmac("sha256", secret).update(backend.address).digest("hex").slice(0, DIGEST_LENGTH);
      this.#values.set(backend, digest);
    }
    return digest;
  }

  #inserted(
    answer: ResponseHead,
    method: string,
    backend: Backend,
    claim: Claim,
    record: AccessRecord,
    wallMs: number,
    own: readonly string[],
    isSet: boolean,
  ): ResponseHead {
    const { name, preserve, nocache } = this.config;
    const third = record.cookieState[0];
    if (isSet && preserve) {
      record.cookieState = `${third}P`;
      return answer;
    }
    const kept = isSet ? own.filter((each) => !this.#isOurs(each)) : own;
    const nowSeconds = Math.floor(wallMs / 1000);
    const isDirect = backend === claim.bound;
    if (isDirect && !isRefreshDue(claim.cookie, this.#limits, nowSeconds)) {
      if (isSet) record.cookieState = `${third}D`;
      return isSet ? withCookies(answer, kept, "") : answer;
    }
    const value = this.valueOf(backend);
    const given = value === undefined ? FORGET : writeCookie(value, claim.cookie, this.#limits, nowSeconds);
    record.cookieState = `${third}${isDirect && value !== undefined ? "U" : "I"}`;
    const extra = nocache && isCacheable(method, answer) ? "cache-control: private\r\n" : "";
    return withCookies(answer, [...kept, `${name}=${given}; path=/${this.#attributes}`], extra);
  }

  #backendsNamed(value: string): readonly Backend[] {
    this.#byValue ??= this.#index();
    return this.#byValue.get(value) ?? [];
  }

  #index(): ReadonlyMap<string, readonly Backend[]> {
    const byValue = new Map<string, Backend[]>();
    for (const backend of this.#pool.backends()) {
      const value = this.valueOf(backend);
      if (value === undefined || backend.isGone) continue;
      const sharers = byValue.get(value);
      if (sharers === undefined) byValue.set(value, [backend]);
      else sharers.push(backend);
    }
    return byValue;
  }

  #pairForApplication(pair: string): string[] {
    const text = pair.trim();
    const { name, mode } = this.config;
    if (text === "") return [];
    if (!text.startsWith(name) || text.slice(name.length).trimStart()[0] !== "=") return [text];
    if (mode === "insert") return [];
    const end = text.indexOf(PREFIX_END);
    return [end < 0 ? text : `${name}=${text.slice(end + 1)}`];
  }

  /** Whether a Set-Cookie is of our cookie. */
  #isOurs(setCookie: string): boolean {
    const equals = setCookie.indexOf("=");
    return equals >= 0 && setCookie.slice(0, equals).trim() === this.config.name;
  }

  #rewritten(setCookie: string, value: string): string {
    const start = setCookie.indexOf("=") + 1;
    if (this.config.mode === "prefix")
      return `${setCookie.slice(0, start)}${value}${PREFIX_END}${setCookie.slice(start)}`;
    const semicolon = setCookie.indexOf(";", start);
    return `${setCookie.slice(0, start)}${value}${semicolon < 0 ? "" : setCookie.slice(semicolon)}`;
  }
}

function withCookies(answer: ResponseHead, cookies: readonly string[], extra: string): ResponseHead {
  const lines = cookies.map((each) => `set-cookie: ${each}\r\n`).join("");
  return responseWith(answer, new ReplacedFields(answer.fields as FieldList, "set-cookie", lines + extra));
}

/** In HAProxy's order: domain, HttpOnly, Secure, what else. */
function attributesOf({ domain, httpOnly, secure, attr }: CookieAffinityConfig): string {
  const parts = [
    ...(domain === undefined ? [] : [`domain=${domain}`]),
    ...(httpOnly ? ["HttpOnly"] : []),
    ...(secure ? ["Secure"] : []),
    ...attr,
  ];
  return parts.map((part) => `; ${part}`).join("");
}

/** Without what a cookie cannot hold. */
function plain(text: string): string {
  return text.replace(NOT_IN_VALUE, "_");
}

export type { Claim };
