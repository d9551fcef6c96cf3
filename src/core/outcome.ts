/**
 * How an attempt ended, as far as the backend is concerned.
 *
 * - `success`: it answered, and not with a server error
 * - `server-error`: it answered 500 or above
 * - `connect-failure`: no connection came about (refused, unreachable, timed out)
 * - `timeout`: connected, but it stayed silent for too long
 * - `reset`: the connection ended or broke the protocol before the answer was whole
 * - `ignored`: says nothing about the backend (the client left, we cut it)
 */
export type Outcome = "success" | "server-error" | "connect-failure" | "timeout" | "reset" | "ignored";

/** Column number of an outcome on the scoreboard. */
export function outcomeIndex(outcome: Outcome): number {
  switch (outcome) {
    case "success":
      return 0;
    case "server-error":
      return 1;
    case "connect-failure":
      return 2;
    case "timeout":
      return 3;
    case "reset":
      return 4;
    case "ignored":
      return 5;
  }
}
