import { isIP } from "node:net";
import type { DiscoveryStatus, Endpoint } from "../core/endpoint.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { StateFile } from "../platform/state-file.js";

/** Form of the file's content. */
export const SAVED_LIST_VERSION = 1;

/** After a list was written, later ones within this time are written as one. */
const PAUSE_MS = 5_000;
/** A list that does not change is written again this often, so that its age tells when it was last known to be true. */
const REFRESH_MS = 600_000;

/** What a saved list works with. */
export interface SavedListOptions {
  readonly file: Pick<StateFile, "read" | "save">;
  /** Says which source the list is of, with all that decides what it lists; a list of another one is not taken. */
  readonly origin: string;
  /** An older list is not taken. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A list of a former process. */
export interface LoadedList {
  readonly endpoints: readonly Endpoint[];
  /** Wall clock when it was last known to be true. */
  readonly savedWallMs: number;
}

/** The last good list of one source, kept for the next process in case it starts while its source is away. */
export class SavedList {
  readonly #options: SavedListOptions;
  #list: readonly Endpoint[] | undefined;
  #pause: Timer | undefined;
  #isPending = false;
  #refresh: Timer | undefined;

  constructor(options: SavedListOptions) {
    this.#options = options;
  }

  /** Undefined where there is none that may be used; why is in the log. */
  async load(): Promise<LoadedList | undefined> {
    const { file, origin, maxAgeMs, clock, log } = this.#options;
    const kept = await file.read();
    if (kept === undefined) return undefined;
    const content = readContent(kept.data);
    if (typeof content === "string") {
      log.warn({ reason: content }, "saved list refused, its content is damaged");
      return undefined;
    }
    if (content.origin !== origin) {
      log.info({}, "saved list not used, the source was configured otherwise");
      return undefined;
    }
    const { savedWallMs } = kept;
    const ageMs = clock.wallMs() - savedWallMs;
    if (ageMs > maxAgeMs) {
      log.warn({ ageMs, maxAgeMs }, "saved list not used, it is too old");
      return undefined;
    }
    return { endpoints: content.endpoints, savedWallMs };
  }

  /** This is true now: the first at once, others in their turn. */
  keep(endpoints: readonly Endpoint[], isStillTrue: () => boolean): void {
    this.#list = endpoints;
    this.#scheduleRefresh(isStillTrue);
    if (this.#pause !== undefined) {
      this.#isPending = true;
      return;
    }
    this.#write();
    this.#pause = this.#options.clock.after(PAUSE_MS, () => {
      this.#pause = undefined;
      if (this.#isPending) this.keep(this.#list ?? [], isStillTrue);
    });
  }

  /** Writes what waits, and nothing afterwards. */
  close(): void {
    this.#pause?.cancel();
    this.#refresh?.cancel();
    if (this.#isPending) this.#write();
  }

  #write(): void {
    const { file, origin } = this.#options;
    this.#isPending = false;
    const endpoints = this.#list;
    file.save(() => ({ origin, endpoints }));
  }

  #scheduleRefresh(isStillTrue: () => boolean): void {
    this.#refresh?.cancel();
    this.#refresh = this.#options.clock.after(REFRESH_MS, () => {
      if (isStillTrue()) this.#write();
      this.#scheduleRefresh(isStillTrue);
    });
  }
}

interface Content {
  readonly origin: string;
  readonly endpoints: readonly Endpoint[];
}

/** The content, or what is wrong with it. One bad entry spoils the whole: a shrunken list is none. */
function readContent(data: unknown): Content | string {
  if (!isObject(data) || typeof data.origin !== "string" || !Array.isArray(data.endpoints))
    return "expected an origin and a list of endpoints";
  const endpoints: Endpoint[] = [];
  for (const [at, value] of data.endpoints.entries()) {
    const endpoint = readEndpoint(value);
    if (endpoint === undefined) return `endpoint ${at} is none`;
    endpoints.push(endpoint);
  }
  return { origin: data.origin, endpoints };
}

function readEndpoint(value: unknown): Endpoint | undefined {
  if (!isObject(value)) return undefined;
  const { key, id, host, port, weight, status, admitted, reason, tags, meta, priority } = value;
  const { node, datacenter, zone } = value;
  if (typeof key !== "string" || typeof id !== "string" || typeof reason !== "string") return undefined;
  if (typeof host !== "string" || isIP(host) === 0) return undefined;
  if (!isWhole(port, 1, 65_535) || !isWhole(weight, 0, 65_535) || !isWhole(priority, 0, 65_535))
    return undefined;
  if (!isStatus(status) || typeof admitted !== "boolean") return undefined;
  if (!isStrings(tags) || !isStringMap(meta)) return undefined;
  if (!isOptionalText(node) || !isOptionalText(datacenter) || !isOptionalText(zone)) return undefined;
  return {
    ...{ key, id, host, port, weight, status, admitted, reason, tags, meta, priority },
    ...{ node, datacenter, zone },
  };
}

const STATUSES: readonly DiscoveryStatus[] = ["passing", "warning", "critical", "maintenance"];

function isStatus(value: unknown): value is DiscoveryStatus {
  return STATUSES.some((status) => status === value);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && isStrings(Object.values(value));
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
