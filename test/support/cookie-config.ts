import type { CookieAffinityConfig } from "../../src/config/affinity-model.js";

/** A cookie named SRV that the proxy inserts and keeps to itself, holding the backend's id, and the given changes. */
export function cookieConfig(changes: Partial<CookieAffinityConfig> = {}): CookieAffinityConfig {
  return {
    type: "cookie",
    name: "SRV",
    mode: "insert",
    indirect: true,
    nocache: true,
    preserve: false,
    httpOnly: false,
    secure: false,
    domain: undefined,
    attr: [],
    maxIdleMs: 0,
    maxLifeMs: 0,
    value: "id",
    secret: "s",
    meta: "cookie",
    ...changes,
  };
}
