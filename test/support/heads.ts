import { RawFields } from "../../src/proxy/http1/raw-fields.js";
import { type Http1RequestHead, parseRequestHead } from "../../src/proxy/http1/request-head.js";
import { type Http1ResponseHead, parseResponseHead } from "../../src/proxy/http1/response-head.js";

const FIELDS_MAX = 100;

/** A whole request head as a client's connection would give it. */
export function requestHead(text: string): Http1RequestHead {
  const bytes = Buffer.from(text, "latin1");
  const head = parseRequestHead(bytes, 0, bytes.length, new RawFields(), FIELDS_MAX);
  if (head === undefined || "detail" in head) throw new Error(head?.detail ?? "not whole");
  return head;
}

/** A whole response head as a backend's connection would give it. */
export function responseHead(text: string, method = "GET"): Http1ResponseHead {
  const bytes = Buffer.from(text, "latin1");
  const head = parseResponseHead(bytes, 0, bytes.length, new RawFields(), FIELDS_MAX, method);
  if (head === undefined || "detail" in head) throw new Error(head?.detail ?? "not whole");
  return head;
}
