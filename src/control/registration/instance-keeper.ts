import { hostname } from "node:os";
import type { Config, SocketAddressConfig } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import type { Log } from "../../platform/log.js";
import type { Random } from "../../platform/random.js";
import { Registration, type RegistrationStatus } from "./registration.js";

/** What registers the instance beside us. */
export interface InstanceKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where a listener listens; empty before it does. */
  readonly bound: (listener: string) => readonly SocketAddressConfig[];
}

/** What of a configuration concerns the instance. */
type Subject = Pick<Config, "service" | "consul">;

/** Keeps the instance beside us registered as it is configured now, if one is. */
export class InstanceKeeper {
  readonly #options: InstanceKeeperOptions;
  #registration: Registration | undefined;
  #isOver = false;

  constructor(options: InstanceKeeperOptions) {
    this.#options = options;
  }

  /** Registers, once the listeners are open; nothing after an end. */
  start({ service, consul }: Subject): void {
    if (service === undefined || this.#isOver) return;
    const { bound, ...parts } = this.#options;
    this.#registration = new Registration({ service, consul, hostName: hostname(), ...parts });
    const { advertise } = service;
    this.#registration.start(advertise.kind === "listener" ? bound(advertise.listener) : []);
  }

  /** Registers as another configuration has it; an instance that is the same is not taken out in between. */
  async renew(subject: Subject): Promise<void> {
    const previous = this.#registration;
    this.#registration = undefined;
    if (subject.service !== undefined && previous?.isOf(subject.service) === true) previous.abort();
    else await previous?.stop();
    this.start(subject);
  }

  /** Takes it out. Never rejects. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#registration?.stop();
  }

  /** Ends at once and tells nobody. */
  abort(): void {
    this.#isOver = true;
    this.#registration?.abort();
  }

  status(): RegistrationStatus | undefined {
    return this.#registration?.status();
  }
}
