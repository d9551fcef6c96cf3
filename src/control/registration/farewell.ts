import type { ServiceConfig } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import type { Log } from "../../platform/log.js";
import type { Random } from "../../platform/random.js";
import { describeFailure } from "../sources/consul/answer.js";
import { type BackoffBounds, backoffDelayMs } from "../sources/consul/pace.js";
import type { InstanceAgent } from "./agent.js";
import type { Instance } from "./instance.js";

/** What a farewell is made with. */
export interface FarewellOptions {
  readonly service: ServiceConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Longest that a stop waits for the agent. */
const TIMEOUT_MS = 2_000;
const RETRY_BOUNDS: BackoffBounds = { minMs: 200, maxMs: 1_000 };
/** From here on a refusal may be over soon: a rate limit, or a fault of the agent. */
const FIRST_TRANSIENT_STATUS = 429;

/**
 * Deregisters the instance or puts it into maintenance, as `service.shutdown` has it; tries again while there is time.
 * Resolves after two seconds at the latest, whatever became of it, and never rejects.
 *
 * @param pending a call that must be over first.
 */
export async function leave(
  instance: Instance,
  agent: InstanceAgent,
  pending: Promise<void> | undefined,
  options: FarewellOptions,
): Promise<void> {
  const { service, clock, log } = options;
  const abort = new AbortController();
  const trouble = await new Promise<string | undefined>((resolve) => {
    const timer = clock.after(TIMEOUT_MS, () => {
      abort.abort();
      resolve(`the agent did not answer within ${TIMEOUT_MS} ms`);
    });
    tryToLeave(agent, pending, options, abort.signal).then((reason) => {
      timer.cancel();
      resolve(reason);
    });
  });
  const fields = { service: service.name, id: instance.id };
  if (trouble !== undefined)
    log.warn({ ...fields, reason: trouble }, "service left registered, its check will turn critical");
  else if (service.shutdown === "deregister") log.info(fields, "service deregistered");
  else log.info(fields, "service put into maintenance");
}

/** Undefined once the agent has done it, else why it has not. */
async function tryToLeave(
  agent: InstanceAgent,
  pending: Promise<void> | undefined,
  { service, clock, random }: FarewellOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const endMs = clock.nowMs() + TIMEOUT_MS;
  await pending;
  for (let failures = 1; ; failures++) {
    const reply = await agent.leave(service.shutdown, { timeoutMs: TIMEOUT_MS, signal });
    if (reply.kind !== "failed") return undefined;
    const { failure } = reply;
    const delayMs = backoffDelayMs(failures, RETRY_BOUNDS, random());
    const isFinal = failure.kind === "status" && failure.status < FIRST_TRANSIENT_STATUS;
    if (isFinal || signal.aborted || clock.nowMs() + delayMs >= endMs)
      return describeFailure(failure, `service:write on "${service.name}"`);
    await new Promise<void>((resolve) => {
      clock.after(delayMs, resolve);
    });
  }
}
