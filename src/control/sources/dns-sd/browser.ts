import type { Clock, Timer } from "../../../platform/clock.js";
import type { HeardRecord } from "./messages.js";
import { encodeQueries, isEncodable, type KnownAnswer, type LinkQuestion } from "./query.js";
import { type CachedRecord, foldLabel, RecordCache, type Sender } from "./record-cache.js";

/** An instance of the service that can be connected to. */
export interface LinkInstance {
  /** Full name, as it was written. */
  readonly name: string;
  /** Its first label, what people call it. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  /** IPv4 first, sorted; at least one. */
  readonly addresses: readonly string[];
  readonly entries: readonly (readonly [string, string])[];
}

/** What a browser is made of. */
export interface BrowserOptions {
  /** `_http._tcp.local`. */
  readonly service: string;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly send: (query: Buffer) => void;
  /** `instances()` may have changed. */
  readonly onChange: () => void;
}

/** Questions for the service after the first one, then each interval twice the last (RFC 6762 section 5.2). */
const browseDelaysMs = [1_000, 2_000];
const browseMaxMs = 3_600_000;
/** After so many questions it is time to say that nobody is there. */
const firstBrowses = 4;
/** While nobody says anything any more. */
const browseSilentMaxMs = 10_000;
/** Before the first question, so that a room full of machines that were switched on together does not shout. */
const firstDelayMs = { min: 20, max: 120 };
/** What was heard within this time is looked at together. */
const settleMs = 50;
/** When the link can be heard again after it could not, what expired meanwhile has this long to speak up. */
const graceMs = 10_000;
/** Missing records asked for at once; the others follow after a pause. */
const gapsAtOnce = 60;
const gapsPauseMs = 200;
const instancesMax = 1_000;
const limits = { recordsMax: 8_000, recordsPerSenderMax: 2_000 };

/** Something that is not known of an instance. */
interface Gap {
  readonly type: LinkQuestion["type"];
  readonly name: string;
  attempts: number;
  nextMs: number;
}

/**
 * Browses one service type: asks when it starts and ever less often afterwards, asks for what it holds before
 * that expires, asks for what is missing of an instance, and knows the instances at any time. While nothing
 * can be heard nothing expires, and silence alone never takes the last instances away: goodbyes do.
 */
export class Browser {
  readonly #options: BrowserOptions;
  readonly #serviceLabels: readonly string[];
  readonly #suffix: string;
  readonly #cache = new RecordCache(limits);
  /** What was asked for because it is missing: when again, by type and name. */
  readonly #missing = new Map<string, Gap>();
  #browseMs = Number.POSITIVE_INFINITY;
  #browses = 0;
  /** Names of instances and of their hosts, folded: what is wanted. Grows as records come. */
  #named = new Set<string>();
  #hosts = new Set<string>();
  /** Of the cache when it was looked through last. */
  #version = 0;
  #canHear = false;
  #isSilent = false;
  #graceMs = 0;
  /** Missing records are asked for no sooner than this. */
  #gapsMs = 0;
  #settling: Timer | undefined;
  #timer: Timer | undefined;
  #queries = 0;
  #lastHeardMs: number | undefined;

  constructor(options: BrowserOptions) {
    this.#options = options;
    this.#serviceLabels = options.service.split(".");
    this.#suffix = `.${foldLabel(options.service)}`;
  }

  /** Whether the last instances are held though they have expired, since nobody says anything. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  get queries(): number {
    return this.#queries;
  }

  /** When something of the service was heard last. */
  get lastHeardMs(): number | undefined {
    return this.#lastHeardMs;
  }

  get records(): number {
    return this.#cache.size;
  }

  /** Records not taken because there were too many. */
  get refused(): number {
    return this.#cache.refused;
  }

  /** The link can be heard, for the first time or on other interfaces than before: asks anew. */
  hear(): void {
    const { min, max } = firstDelayMs;
    const nowMs = this.#options.clock.nowMs();
    this.#canHear = true;
    this.#graceMs = nowMs + graceMs;
    this.#browses = 0;
    this.#browseMs = nowMs + min + this.#options.random() * (max - min);
    this.#missing.clear();
    this.#schedule();
  }

  /** Nothing can be heard for now. */
  goDeaf(): void {
    this.#canHear = false;
    this.#timer?.cancel();
    this.#settling?.cancel();
    this.#settling = undefined;
  }

  stop(): void {
    this.goDeaf();
  }

  /** Takes the records of one packet. */
  take(records: readonly HeardRecord[], sender: Sender): void {
    const { clock, random } = this.#options;
    const nowMs = clock.nowMs();
    let isOurs = false;
    for (const record of records) {
      if (!this.#isWanted(record)) continue;
      isOurs = true;
      this.#cache.take(record, sender, nowMs, random());
      if (record.ttlSeconds === 0) continue;
      if (record.type === "PTR") this.#named.add(foldLabel(record.target));
      if (record.type === "SRV") this.#hosts.add(foldLabel(record.target));
    }
    if (!isOurs || !this.#canHear) return;
    this.#lastHeardMs = nowMs;
    this.#settling ??= clock.after(settleMs, () => {
      this.#settling = undefined;
      this.#settle(clock.nowMs());
    });
  }

  /** Instances of which everything needed is known, in the order of their names. */
  instances(): readonly LinkInstance[] {
    const found = this.#names().map((name) => ({ folded: foldLabel(name), instance: this.#instance(name) }));
    return found.sort((a, b) => (a.folded < b.folded ? -1 : 1)).flatMap(({ instance }) => instance ?? []);
  }

  #instance(name: string): LinkInstance | undefined {
    const service = this.#service(name);
    if (service === undefined || service.port === 0) return undefined;
    const addresses = (["A", "AAAA"] as const).flatMap((type) => this.#addresses(type, service.target));
    if (addresses.length === 0) return undefined;
    const text = this.#cache.find("TXT", name)[0]?.record;
    const { port, priority, weight, target } = service;
    return {
      ...{ name, host: target, port, priority, weight, addresses },
      label: name.slice(0, -this.#suffix.length),
      entries: text?.type === "TXT" ? text.entries : [],
    };
  }

  #service(name: string): Extract<HeardRecord, { readonly type: "SRV" }> | undefined {
    const record = this.#cache.find("SRV", name)[0]?.record;
    return record?.type === "SRV" ? record : undefined;
  }

  #addresses(type: "A" | "AAAA", host: string): readonly string[] {
    const found = this.#cache.find(type, host);
    const lasting = found.filter((cached) => !cached.isRevoked);
    // An address that was replaced counts no more as soon as there is another one.
    return (lasting.length > 0 ? lasting : found)
      .flatMap(({ record }) => (record.type === type ? [record.address] : []))
      .sort();
  }

  /** Full names of the instances that the link tells of. */
  #names(): readonly string[] {
    return this.#cache
      .find("PTR", this.#options.service)
      .flatMap(({ record }) => (record.type === "PTR" ? [record.target] : []));
  }

  /** Only what belongs to the service is kept, or anybody could fill the cache with anything. */
  #isWanted(record: HeardRecord): boolean {
    const name = foldLabel(record.name);
    switch (record.type) {
      case "PTR": {
        const target = foldLabel(record.target);
        return (
          `.${name}` === this.#suffix &&
          target.endsWith(this.#suffix) &&
          (this.#named.has(target) || this.#named.size < instancesMax) &&
          isEncodable(this.#labelsOf(record.target))
        );
      }
      case "SRV":
        return (
          this.#named.has(name) &&
          (this.#hosts.size < instancesMax || this.#hosts.has(foldLabel(record.target)))
        );
      case "TXT":
        return this.#named.has(name);
      case "A":
      case "AAAA":
        return this.#hosts.has(name);
    }
  }

  /** The first label of an instance may hold dots; those of the service do not. */
  #labelsOf(name: string): readonly string[] {
    return foldLabel(name).endsWith(this.#suffix)
      ? [name.slice(0, -this.#suffix.length), ...this.#serviceLabels]
      : name.split(".");
  }

  #settle(nowMs: number): void {
    if (!this.#canHear) return;
    const wasSilent = this.#isSilent;
    if (wasSilent || this.#cache.hasExpired(nowMs)) this.#expire(nowMs);
    // Most of what is heard was known: it costs no more than noting the time.
    const isNews = this.#cache.version !== this.#version || this.#isSilent !== wasSilent;
    if (isNews) {
      this.#version = this.#cache.version;
      const names = this.#names();
      this.#named = new Set(names.map(foldLabel));
      this.#hosts = new Set(names.map((name) => foldLabel(this.#service(name)?.target ?? "")));
      this.#noteGaps(nowMs);
    }
    this.#schedule();
    if (isNews || this.#browses <= firstBrowses) this.#options.onChange();
  }

  #expire(nowMs: number): void {
    if (nowMs < this.#graceMs) {
      this.#cache.expire(nowMs, () => true);
      return;
    }
    const needed = this.#needed();
    const isAnyFresh = needed.some((records) => records.every(({ expiresMs }) => expiresMs > nowMs));
    // Everything falls silent at once when a cable is pulled, hardly ever when services end.
    const isSilent = !isAnyFresh && needed.some((records) => records.every((cached) => !cached.isRevoked));
    if (this.#isSilent && isAnyFresh) this.#graceMs = nowMs + graceMs;
    if (!this.#isSilent && isSilent) this.#browseAnew(nowMs);
    const isHeld = isSilent || nowMs < this.#graceMs;
    this.#isSilent = isSilent;
    const held = isHeld ? new Set(needed.flat()) : undefined;
    this.#cache.expire(nowMs, (cached) => held?.has(cached) === true);
  }

  #browseAnew(nowMs: number): void {
    this.#browses = 0;
    this.#browseMs = nowMs;
  }

  /** For each instance that can be connected to: the records without which it is none. */
  #needed(): readonly (readonly CachedRecord[])[] {
    return this.#cache.find("PTR", this.#options.service).flatMap((pointer) => {
      if (pointer.record.type !== "PTR") return [];
      const service = this.#cache.find("SRV", pointer.record.target)[0];
      if (service?.record.type !== "SRV") return [];
      const { target } = service.record;
      const addresses = [...this.#cache.find("A", target), ...this.#cache.find("AAAA", target)];
      // The last address to go is the one that counts.
      const last = addresses.reduce<CachedRecord | undefined>(
        (latest, each) => (latest === undefined || each.expiresMs > latest.expiresMs ? each : latest),
        undefined,
      );
      return last === undefined ? [] : [[pointer, service, last]];
    });
  }

  #onTimer(): void {
    const nowMs = this.#options.clock.nowMs();
    const questions = new Map<string, LinkQuestion>();
    const ask = (type: LinkQuestion["type"], name: string) => {
      const labels = this.#labelsOf(name);
      if (isEncodable(labels)) questions.set(`${type} ${foldLabel(name)}`, { type, labels });
    };
    if (nowMs >= this.#browseMs) this.#browse(nowMs, ask);
    for (const { record } of this.#cache.takeDue(nowMs, this.#options.random)) {
      if (record.type === "PTR") ask("PTR", record.name);
      else if (this.#isWanted(record)) ask(record.type, record.name);
    }
    this.#askMissing(nowMs, ask);
    if (questions.size > 0) this.#send([...questions.values()], nowMs);
    this.#settle(nowMs);
  }

  #browse(nowMs: number, ask: (type: "PTR", name: string) => void): void {
    ask("PTR", this.#options.service);
    const last = (browseDelaysMs.at(-1) ?? 0) * 2 ** (this.#browses - browseDelaysMs.length + 1);
    const maxMs = this.#isSilent ? browseSilentMaxMs : browseMaxMs;
    this.#browseMs = nowMs + Math.min(maxMs, browseDelaysMs[this.#browses] ?? last);
    this.#browses += 1;
  }

  #askMissing(nowMs: number, ask: (type: LinkQuestion["type"], name: string) => void): void {
    if (nowMs < this.#gapsMs) return;
    let asked = 0;
    for (const gap of this.#missing.values()) {
      if (gap.nextMs > nowMs) continue;
      if (asked >= gapsAtOnce) {
        this.#gapsMs = nowMs + gapsPauseMs;
        return;
      }
      asked += 1;
      ask(gap.type, gap.name);
      gap.nextMs = nowMs + Math.min(browseMaxMs, 1_000 * 2 ** Math.min(gap.attempts, 12));
      gap.attempts += 1;
    }
  }

  /** Answers often come in pieces, so what is missing now is asked for in a moment. */
  #noteGaps(nowMs: number): void {
    const gaps = this.#gaps();
    const open = new Set(gaps.map(({ key }) => key));
    for (const key of this.#missing.keys()) if (!open.has(key)) this.#missing.delete(key);
    for (const { key, type, name } of gaps) {
      if (!this.#missing.has(key)) {
        this.#missing.set(key, { type, name, attempts: 0, nextMs: nowMs + firstDelayMs.max });
      }
    }
  }

  /** What is not known of instances that are. */
  #gaps(): readonly { readonly type: LinkQuestion["type"]; readonly name: string; readonly key: string }[] {
    const gaps = this.#names().flatMap((name) => {
      const service = this.#service(name);
      const wanted: (readonly [LinkQuestion["type"], string])[] = [];
      if (service === undefined) wanted.push(["SRV", name]);
      if (this.#cache.find("TXT", name).length === 0) wanted.push(["TXT", name]);
      const host = service?.target;
      if (host !== undefined && this.#hasNoAddress(host)) wanted.push(["A", host], ["AAAA", host]);
      return wanted.map(([type, of]) => ({ type, name: of, key: `${type} ${foldLabel(of)}` }));
    });
    return gaps;
  }

  #hasNoAddress(host: string): boolean {
    return this.#addresses("A", host).length === 0 && this.#addresses("AAAA", host).length === 0;
  }

  #send(questions: readonly LinkQuestion[], nowMs: number): void {
    const known = questions.some(({ type }) => type === "PTR") ? this.#knownAnswers(nowMs) : [];
    for (const packet of encodeQueries(questions, known)) {
      this.#queries += 1;
      this.#options.send(packet);
    }
  }

  /** Only those with more than half of their time left; the others are to be said again. */
  #knownAnswers(nowMs: number): readonly KnownAnswer[] {
    return this.#cache.find("PTR", this.#options.service).flatMap((cached) => {
      const leftMs = cached.expiresMs - nowMs;
      if (cached.record.type !== "PTR" || cached.isRevoked || leftMs <= cached.ttlMs / 2) return [];
      const target = this.#labelsOf(cached.record.target);
      return [{ labels: this.#serviceLabels, target, ttlSeconds: Math.floor(leftMs / 1_000) }];
    });
  }

  #schedule(): void {
    if (!this.#canHear) return;
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    let nextMs = Math.min(this.#browseMs, this.#cache.nextMs(nowMs));
    for (const gap of this.#missing.values()) nextMs = Math.min(nextMs, Math.max(gap.nextMs, this.#gapsMs));
    if (this.#graceMs > nowMs) nextMs = Math.min(nextMs, this.#graceMs);
    this.#timer?.cancel();
    this.#timer = clock.after(Math.max(firstDelayMs.min, nextMs - nowMs), () => this.#onTimer());
  }
}
