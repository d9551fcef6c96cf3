import { KIND } from "./field-kind.js";
import type { FieldList } from "./message.js";

/** By gRPC code, from OK on, the HTTP status that means the same, as Envoy maps them. */
const HTTP_OF_GRPC = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** What a code that is none counts as. */
const UNKNOWN = 500;

/**
 * Request path. The HTTP status that a gRPC answer amounts to: gRPC answers 200 whatever happens and tells the
 * rest in `grpc-status`, in the trailers or, where there is no body, in the head. 0 where these fields say
 * nothing. Costs the test of a bit for all other traffic.
 */
export function grpcJudgement(fields: FieldList | undefined): number {
  if (fields === undefined || !fields.has(KIND.grpcStatus)) return 0;
  const code = fields.valueOf(KIND.grpcStatus) ?? "";
  return /^\d{1,2}$/.test(code) ? (HTTP_OF_GRPC[Number(code)] ?? UNKNOWN) : UNKNOWN;
}
