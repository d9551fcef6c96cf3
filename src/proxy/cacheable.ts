import type { ResponseHead } from "./message.js";
import { allValues } from "./replaced-fields.js";

/** Statuses that are cacheable by themselves, as HAProxy has them. */
const CACHEABLE: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501]);
const FORBIDDEN = /(?:^|[\s,])(?:private|no-cache|no-store|(?:max-age|s-maxage)=0)(?=$|[\s,=])/i;
const LIFETIME = /(?:^|[\s,])(?:max-age|s-maxage)=/i;

/**
 * Whether a cache on the way might keep this answer: a status and a method that allow it, nothing that forbids it, and
 * a lifetime or something to ask by again (RFC 9111 section 3, as HAProxy reads it for `nocache`).
 */
export function isCacheable(method: string, head: ResponseHead): boolean {
  if ((method !== "GET" && method !== "HEAD") || !CACHEABLE.has(head.status)) return false;
  const control = allValues(head.fields, "cache-control").join(",");
  if (FORBIDDEN.test(control)) return false;
  return (
    LIFETIME.test(control) || ["expires", "etag", "last-modified"].some((name) => head.fields.value(name))
  );
}
