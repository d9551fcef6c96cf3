import { status } from "@grpc/grpc-js";

/** Why a call was refused: the gRPC status and one sentence for the person who called. */
export class AdminRefusal extends Error {
  override readonly name = "AdminRefusal";
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** A value that is out of range or malformed. The sentence begins with the field. */
export function invalid(field: string, expected: string): AdminRefusal {
  return new AdminRefusal(status.INVALID_ARGUMENT, `${field}: ${expected}`);
}

/**
 * An unknown name, with the nearest ones.
 *
 * @param missing `backend "web-9" in pool web`
 * @param otherwise what to do where no name is near.
 */
export function unknown(missing: string, nearest: readonly string[], otherwise: string): AdminRefusal {
  const proposal = nearest.length > 0 ? `did you mean ${nearest.join(" or ")}?` : otherwise;
  return new AdminRefusal(status.NOT_FOUND, `there is no ${missing}; ${proposal}`);
}

/** A wrong state or an ambiguous name. The sentence says what to do. */
export function wrongState(message: string): AdminRefusal {
  return new AdminRefusal(status.FAILED_PRECONDITION, message);
}

/** A limit is reached; the sentence names it. */
export function exhausted(message: string): AdminRefusal {
  return new AdminRefusal(status.RESOURCE_EXHAUSTED, message);
}
