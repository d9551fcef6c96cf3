import type { Endpoint } from "../../core/endpoint.js";
import type { Clock, Timer } from "../../platform/clock.js";
import type { Log } from "../../platform/log.js";
import type { NameHandle, Resolver } from "../resolver.js";

/** What the last stage of a source works with. */
export interface ResolvedListOptions {
  readonly resolver: Resolver;
  readonly clock: Clock;
  /** `all`: each address of a name is a backend; `one`: the first, and the same one while it is in the answer. */
  readonly resolve: "all" | "one";
  /** Receives endpoints whose hosts are addresses, whenever they differ from the last ones. */
  readonly onEndpoints: (endpoints: readonly Endpoint[]) => void;
  /** `isUpToDate` or `trouble` changed. */
  readonly onState: () => void;
  readonly log: Log;
}

/** A new list waits this long for the first answer about names in it; then it goes without them. */
const firstAnswerMs = 1_000;
const namesShownMax = 5;

/**
 * The last stage of every source: a list whose hosts may be names becomes one of addresses, again whenever a
 * name's addresses change. A name that was never resolved is left out; when nothing at all could be resolved,
 * the list before stays in force.
 */
export class ResolvedList {
  readonly #options: ResolvedListOptions;
  readonly #names = new Map<string, NameHandle>();
  /** The address taken for a name under `one`. */
  readonly #chosen = new Map<string, string>();
  #base: readonly Endpoint[] | undefined;
  #published: string | undefined;
  #count = 0;
  #trouble = "";
  #isUpToDate = false;
  #patience: Timer | undefined;
  #isClosed = false;

  constructor(options: ResolvedListOptions) {
    this.#options = options;
  }

  /**
   * Puts a new list in force, at once when all its hosts are known.
   *
   * @throws what `onEndpoints` throws; the same list may then be set again.
   */
  set(base: readonly Endpoint[]): void {
    this.#base = base;
    this.#followNames(base);
    this.#publish();
  }

  /** Endpoints published last. */
  count(): number {
    return this.#count;
  }

  /** Whether the list set last was published, as far as its names are known. */
  isUpToDate(): boolean {
    return this.#isUpToDate;
  }

  /** Whether any list was published. */
  isPublished(): boolean {
    return this.#published !== undefined;
  }

  /** Names without any address, and why, in words; empty when there is none. */
  trouble(): string {
    return this.#trouble;
  }

  close(): void {
    this.#isClosed = true;
    this.#patience?.cancel();
    for (const handle of this.#names.values()) handle.close();
    this.#names.clear();
  }

  #followNames(base: readonly Endpoint[]): void {
    const wanted = new Set(base.map((endpoint) => endpoint.host));
    for (const host of wanted) {
      if (!this.#names.has(host))
        this.#names.set(
          host,
          this.#options.resolver.follow(host, () => this.#onNames()),
        );
    }
    for (const [host, handle] of this.#names) {
      if (wanted.has(host)) continue;
      handle.close();
      this.#names.delete(host);
      this.#chosen.delete(host);
    }
  }

  /** Called by the resolver and the timer, where nobody could catch what a receiver throws. */
  #onNames(isOverdue = false): void {
    try {
      this.#publish(isOverdue);
    } catch (cause) {
      this.#options.log.error({ err: cause }, "endpoints were not taken");
    }
  }

  #publish(isOverdue = false): void {
    if (this.#isClosed || this.#base === undefined) return;
    if (!isOverdue && [...this.#names.values()].some((handle) => handle.isPending())) {
      this.#patience ??= this.#options.clock.after(firstAnswerMs, () => this.#onNames(true));
      this.#note(false);
      return;
    }
    this.#patience?.cancel();
    this.#patience = undefined;
    const endpoints = this.#base.flatMap((endpoint) => this.#expand(endpoint));
    const isUsable = endpoints.length > 0 || this.#base.length === 0;
    if (isUsable) this.#deliver(endpoints);
    this.#note(isUsable);
  }

  #deliver(endpoints: readonly Endpoint[]): void {
    const text = JSON.stringify(endpoints);
    if (text === this.#published) return;
    this.#options.onEndpoints(endpoints);
    this.#published = text;
    this.#count = endpoints.length;
  }

  #expand(endpoint: Endpoint): readonly Endpoint[] {
    const addresses = this.#names.get(endpoint.host)?.addresses();
    if (addresses === undefined) return [];
    // Answers rotate; the order of a list must not.
    if (this.#options.resolve === "all") return [...addresses].sort().map((host) => ({ ...endpoint, host }));
    const present = this.#chosen.get(endpoint.host);
    const host = present !== undefined && addresses.includes(present) ? present : addresses[0];
    if (host === undefined) return [];
    this.#chosen.set(endpoint.host, host);
    return [{ ...endpoint, host }];
  }

  #note(isUpToDate: boolean): void {
    const trouble = this.#troubleText();
    if (trouble === this.#trouble && isUpToDate === this.#isUpToDate) return;
    this.#trouble = trouble;
    this.#isUpToDate = isUpToDate;
    this.#options.onState();
  }

  #troubleText(): string {
    const failed: string[] = [];
    for (const [host, handle] of this.#names) {
      if (handle.addresses() === undefined && !handle.isPending())
        failed.push(`${host}: ${handle.failure()}`);
    }
    const shown = failed.slice(0, namesShownMax).join(", ");
    return failed.length > namesShownMax ? `${shown} and ${failed.length - namesShownMax} more` : shown;
  }
}
