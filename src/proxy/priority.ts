import type { PriorityConfig } from "../config/priority-model.js";
import type { Priority } from "../core/line.js";
import type { ClientFacts } from "./message.js";

/** HAProxy's range of classes. */
const GREATEST_CLASS = 2047;

/** Request path, where it is configured. Where the requests of a listener or a route stand among those who wait. */
export class PriorityRule {
  /** Of every request that says nothing itself. */
  readonly fixed: Priority;
  readonly #header: string | undefined;

  constructor({ class: number, offsetMs, header }: PriorityConfig) {
    this.fixed = { class: number, offsetMs };
    this.#header = header;
  }

  /** Of one request: the class is its own where its client is trusted and says one. */
  of(head: { value(name: string): string | undefined }, client: Pick<ClientFacts, "isTrusted">): Priority {
    if (this.#header === undefined || !client.isTrusted) return this.fixed;
    const said = head.value(this.#header);
    if (said === undefined || !/^-?\d{1,4}$/.test(said)) return this.fixed;
    const own = Number(said);
    return Math.abs(own) > GREATEST_CLASS ? this.fixed : { class: own, offsetMs: this.fixed.offsetMs };
  }
}

/** Undefined where nothing is configured. */
export function priorityRuleOf(config: PriorityConfig | undefined): PriorityRule | undefined {
  return config === undefined ? undefined : new PriorityRule(config);
}
