/** Where a check connects to. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
}

/** HAProxy's names of check results, as operators read them in stats and logs. */
export type ProbeCode =
  | "L4OK"
  | "L4CON"
  | "L4TOUT"
  | "L6OK"
  | "L6RSP"
  | "L6TOUT"
  | "L7OK"
  | "L7STS"
  | "L7RSP"
  | "L7TOUT";

/** What one check found. */
export interface ProbeResult {
  readonly passed: boolean;
  readonly code: ProbeCode;
  /** What happened, in words: `connection refused`, `status 503`. */
  readonly detail: string;
  /** Of an HTTP answer; undefined where none came or none was asked for. */
  readonly status?: number;
  /** What an agent said; undefined for other kinds. */
  readonly text?: string;
  readonly durationMs: number;
}

/** One kind of active check. */
export interface Probe {
  readonly kind: string;
  /**
   * Checks once. `done` is called exactly once, never before this returns, and not after `cancel`. The
   * timeout covers all of it.
   */
  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe;
}

/** A check under way. */
export interface RunningProbe {
  cancel(): void;
}
