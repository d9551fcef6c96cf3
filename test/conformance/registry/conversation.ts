/** One request of a conversation. */
export interface Step {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** `status` where the text cannot be the same, such as the internals of a parser. Default: everything. */
  readonly compares?: "status";
}

/** Requests that build on each other, sent to both catalogs. */
export interface Conversation {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** A read. */
export const get = (path: string): Step => ({ method: "GET", path });

/** A write. */
export const put = (path: string, body?: unknown): Step => ({ method: "PUT", path, body });

/** Registers a service. */
export const register = (body: unknown): Step => put("agent/service/register", body);

/** A step whose text cannot be the same on both sides. */
export const inexact = (step: Step): Step => ({ ...step, compares: "status" });

/** The instance most steps are about. */
export const web1 = {
  ID: "web1",
  Name: "web",
  Port: 80,
  Tags: ["v1", "Blue"],
  Meta: { zone: "a" },
  Address: "10.1.1.1",
  Weights: { Passing: 10, Warning: 2 },
  Check: { TTL: "60s", Notes: "heartbeat" },
};
