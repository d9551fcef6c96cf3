import type { AdminAnswers, AdminEvent, Counters, DiscoverySource, ListedBackend } from "./admin-answers.js";
import { AdminClient, type AnswerStream } from "./admin-client.js";

/** What the admin API said last. */
export interface SidecarPicture {
  readonly backends: readonly ListedBackend[];
  /** By row id. */
  readonly counters: ReadonlyMap<string, Counters>;
  /** Requests per second each backend took, by row id. */
  readonly perSecond: ReadonlyMap<string, number>;
  readonly source: DiscoverySource | undefined;
}

/** An event with the moment it happened, in milliseconds of the Unix epoch. */
export interface SeenEvent extends AdminEvent {
  readonly wallMs: number;
}

const POLL_MS = 250;
const EVENTS_KEPT = 500;
/** Counts are compared with those this many polls ago, so that a rate does not flutter. */
const RATE_POLLS = 4;
/** Polls that may fail in a row before the sidecar counts as lost. */
const MOST_FAILURES = 8;

interface CountersAt {
  readonly atMs: number;
  readonly counters: ReadonlyMap<string, Counters>;
}

/** Watches a sidecar through its admin API alone: asks for lists four times a second and follows the events. */
export class SidecarWatch {
  readonly #client: AdminClient;
  readonly #pool: string;
  readonly #onLost: (reason: string) => void;
  readonly #events: SeenEvent[] = [];
  readonly #history: CountersAt[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #stream: AnswerStream;
  #picture: SidecarPicture = { backends: [], counters: new Map(), perSecond: new Map(), source: undefined };
  #eventsSeen = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(client: AdminClient, pool: string, onLost: (reason: string) => void) {
    this.#client = client;
    this.#pool = pool;
    this.#onLost = onLost;
    this.#stream = client.stream<AdminAnswers["WatchEvents"]>("WatchEvents", { pool }, ({ event }) => {
      if (event !== undefined) this.#see(event);
    });
    this.#stream.ended.catch(() => {});
  }

  /** @param onLost called once, when the API no longer answers */
  static async start(grpc: string, pool: string, onLost: (reason: string) => void): Promise<SidecarWatch> {
    const watch = new SidecarWatch(await AdminClient.connect(grpc), pool, onLost);
    await watch.#poll();
    return watch;
  }

  get client(): AdminClient {
    return this.#client;
  }

  get picture(): SidecarPicture {
    return this.#picture;
  }

  /** A mark for `eventsSince`. */
  get eventMark(): number {
    return this.#eventsSeen;
  }

  /** Events since the mark, oldest first; the very old ones are forgotten. */
  eventsSince(mark: number): readonly SeenEvent[] {
    const count = Math.min(this.#eventsSeen - mark, this.#events.length);
    return count === 0 ? [] : this.#events.slice(-count);
  }

  /** The backend with this service id that was listed last. */
  backend(id: string): ListedBackend | undefined {
    return this.#picture.backends.find((backend) => backend.id === id);
  }

  /** Counters of the backend with this service id; undefined when it is not listed. */
  countersOf(id: string): Counters | undefined {
    const backend = this.backend(id);
    return backend && this.#picture.counters.get(backend.backend);
  }

  /**
   * The first defined answer of `look`, which is asked again with every event and every new list. Rejects when it
   * does not come in time, or with the reason of the signal.
   */
  until<Found>(
    look: () => Found | undefined,
    limitMs: number,
    what: string,
    signal: AbortSignal,
  ): Promise<Found> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(check);
        signal.removeEventListener("abort", onAbort);
      };
      const check = (): void => {
        const found = look();
        if (found === undefined) return;
        finish();
        resolve(found);
      };
      const fail = (error: Error): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason as Error);
      const timer = setTimeout(() => fail(new Error(`${what}: not within ${limitMs / 1_000} s`)), limitMs);
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort);
      this.#listeners.add(check);
      check();
    });
  }

  /** Asks for everything anew, now. */
  async refresh(): Promise<SidecarPicture> {
    const pool = { pool: this.#pool };
    const [{ backends }, stats, discovery] = await Promise.all([
      this.#client.call<AdminAnswers["ListBackends"]>("ListBackends", pool),
      this.#client.call<AdminAnswers["GetStats"]>("GetStats", pool),
      this.#client.call<AdminAnswers["GetDiscovery"]>("GetDiscovery", pool),
    ]);
    const members = stats.pools.flatMap((each) => each.members);
    const counters = new Map(members.map((member) => [member.backend, member.counters]));
    const perSecond = this.#rates({ atMs: Date.parse(stats.time), counters });
    this.#picture = { backends, counters, perSecond, source: discovery.pools[0]?.sources[0] };
    this.#tell();
    return this.#picture;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stream.cancel();
    await this.#stream.ended.catch(() => {});
    this.#client.close();
  }

  async #poll(): Promise<void> {
    try {
      await this.refresh();
      this.#failures = 0;
    } catch (error) {
      if (this.#isClosed) return;
      if (++this.#failures === MOST_FAILURES) {
        this.#onLost(
          `the admin API no longer answers: ${error instanceof Error ? error.message : String(error)}`,
        );
        return;
      }
    }
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
  }

  #rates(now: CountersAt): ReadonlyMap<string, number> {
    this.#history.push(now);
    if (this.#history.length > RATE_POLLS + 1) this.#history.shift();
    const then = this.#history[0] ?? now;
    const seconds = (now.atMs - then.atMs) / 1_000;
    return new Map(
      [...now.counters].map(([backend, { served }]) => {
        const before = then.counters.get(backend)?.served ?? 0;
        return [backend, seconds > 0 ? Math.max(0, served - before) / seconds : 0];
      }),
    );
  }

  #see(event: AdminEvent): void {
    this.#eventsSeen++;
    this.#events.push({ ...event, wallMs: Date.parse(event.time) });
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
