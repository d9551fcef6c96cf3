import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { DiscoveryStatus } from "../../../core/endpoint.js";
import { findDuplicateId, type GivenEndpoint } from "../given-endpoint.js";

/** Endpoints of a file, or what is wrong with it. */
export type ParsedEndpointFile =
  | { readonly ok: true; readonly endpoints: readonly GivenEndpoint[] }
  /** `line N: what was found, what was expected`; `entry N` in long JSON. */
  | { readonly ok: false; readonly problem: string };

/** HAProxy's range; a person who writes a list needs no more. */
const weightMax = 256;
/** That of DNS. */
const priorityMax = 65_535;
/** Reading YAML takes about two milliseconds per thousand characters, in which no traffic moves. */
const yamlCharactersMax = 256 * 1024;
const statuses: readonly DiscoveryStatus[] = ["passing", "warning", "critical", "maintenance"];
const fields = ["address", "id", "weight", "priority", "backup", "tags", "meta", "status"];
const shapes = '"host:port" or { address, id, weight, priority, backup, tags, meta, status }';

/**
 * Reads a list of endpoints in YAML or JSON: a list, or an object whose `endpoints` is one, of `host:port` or
 * `{ address, id, weight, priority, backup, tags, meta, status }`. The first mistake spoils the file. Empty text is a mistake (it
 * is what a file looks like while it is rewritten), an empty list is none.
 */
export function parseEndpointFile(text: string): ParsedEndpointFile {
  try {
    return { ok: true, endpoints: readFile(text) };
  } catch (cause) {
    if (cause instanceof FileProblem) return { ok: false, problem: cause.message };
    throw cause;
  }
}

class FileProblem extends Error {}

/** A value together with where it stands: `line 3`, or `entry 3` where lines are not known. */
interface Placed {
  readonly value: unknown;
  readonly place: string;
}

function readFile(text: string): readonly GivenEndpoint[] {
  if (text.trim() === "") fail("line 1", "the file is empty; expected a list of endpoints ([] for none)");
  if (!/^\s*[[{]/.test(text)) return readItems(splitYaml(text));
  try {
    return readItems(splitJson(text));
  } catch (cause) {
    // Flow style of YAML begins alike; and where it is JSON, the slow reader finds the mistake again with its line.
    if (text.length > yamlCharactersMax) throw cause;
    return readItems(splitYaml(text));
  }
}

function readItems(items: readonly Placed[]): readonly GivenEndpoint[] {
  const endpoints = items.map(readEndpoint);
  const duplicate = findDuplicateId(endpoints);
  if (duplicate !== undefined) {
    const place = items[duplicate.second]?.place ?? "";
    const before = items[duplicate.first]?.place ?? "";
    fail(place, `${duplicate.id} is listed before, in ${before}; expected an id of its own`);
  }
  return endpoints;
}

/** Far faster than the reader of YAML, but knows no lines. */
function splitJson(text: string): readonly Placed[] {
  const value = parseJson(text);
  const list = isRecord(value) ? value.endpoints : value;
  const other = isRecord(value) ? Object.keys(value).find((key) => key !== "endpoints") : undefined;
  if (other !== undefined) fail("line 1", `found ${show(other)}, expected only "endpoints"`);
  if (!Array.isArray(list)) fail("line 1", "expected a list of endpoints, or { endpoints: [...] }");
  return list.map((item: unknown, at) => ({ value: item, place: `entry ${at + 1}` }));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return fail("line 1", `${cause instanceof Error ? cause.message : String(cause)}; expected JSON`);
  }
}

function splitYaml(text: string): readonly Placed[] {
  if (text.length > yamlCharactersMax) {
    fail(
      "line 1",
      `the file has ${text.length} characters of YAML, expected at most ${yamlCharactersMax}, or JSON`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const placeAt = (offset: number) => `line ${lines.linePos(offset).line}`;
  const placeOf = (node: Node | null | undefined) => placeAt(node?.range?.[0] ?? 0);
  const [error] = document.errors;
  if (error !== undefined) fail(placeAt(error.pos[0]), `${error.message}; expected YAML or JSON`);
  const root = document.contents;
  let list: unknown = root;
  if (isMap(root)) {
    list = root.get("endpoints", true);
    for (const pair of root.items) {
      const key = isScalar(pair.key) ? pair.key : undefined;
      if (key?.value !== "endpoints")
        fail(placeOf(key), `found ${show(key?.value)}, expected only "endpoints"`);
    }
  }
  if (!isSeq<Node>(list)) fail(placeOf(root), "expected a list of endpoints, or { endpoints: [...] }");
  return list.items.map((node) => ({ value: toPlain(node, document, placeOf(node)), place: placeOf(node) }));
}

/** An alias may lead nowhere, or unfold without end. */
function toPlain(node: Node, document: Document, place: string): unknown {
  try {
    return node.toJS(document, { maxAliasCount: 100 });
  } catch (cause) {
    return fail(place, cause instanceof Error ? cause.message : String(cause));
  }
}

function readEndpoint(item: Placed): GivenEndpoint {
  const { value, place } = item;
  if (typeof value === "string") {
    return { id: undefined, ...readAddress(value, place), weight: 1, tags: [], meta: {} };
  }
  if (!isRecord(value)) fail(place, `found ${show(value)}, expected ${shapes}`);
  const unknown = Object.keys(value).find((key) => !fields.includes(key));
  if (unknown !== undefined)
    fail(place, `found field ${show(unknown)}, expected one of ${fields.join(", ")}`);
  const { address, id, weight, priority, backup, tags, meta, status } = value;
  if (typeof address !== "string") fail(place, `found address ${show(address)}, expected "host:port"`);
  return {
    id: readId(id, place),
    ...readAddress(address, place),
    weight: readWeight(weight, place),
    priority: readPriority(priority, place),
    backup: readBackup(backup, priority, place),
    tags: readTags(tags, place),
    meta: readMeta(meta, place),
    status: readStatus(status, place),
  };
}

function readAddress(text: string, place: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s/@]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    fail(
      place,
      `found address ${show(text)}, expected "host:port" or "[IPv6]:port" with a port of 1 to 65535`,
    );
  }
  return { host, port };
}

function readId(id: unknown, place: string): string | undefined {
  if (id === undefined) return undefined;
  if (typeof id !== "string" || id === "") fail(place, `found id ${show(id)}, expected text`);
  return id;
}

function readWeight(weight: unknown, place: string): number {
  if (weight === undefined) return 1;
  if (typeof weight !== "number" || !Number.isInteger(weight) || weight < 0 || weight > weightMax) {
    fail(place, `found weight ${show(weight)}, expected a whole number from 0 to ${weightMax}`);
  }
  return weight;
}

function readPriority(priority: unknown, place: string): number | undefined {
  if (priority === undefined) return undefined;
  if (typeof priority !== "number" || !Number.isInteger(priority) || priority < 0 || priority > priorityMax) {
    fail(place, `found priority ${show(priority)}, expected a whole number from 0 to ${priorityMax}`);
  }
  return priority;
}

function readBackup(backup: unknown, priority: unknown, place: string): boolean | undefined {
  if (backup === undefined) return undefined;
  if (typeof backup !== "boolean") fail(place, `found backup ${show(backup)}, expected true or false`);
  if (backup && priority !== undefined) fail(place, "found priority and backup, expected one of them");
  return backup;
}

function readTags(tags: unknown, place: string): readonly string[] {
  if (tags === undefined) return [];
  if (!Array.isArray(tags) || !tags.every((tag): tag is string => typeof tag === "string")) {
    fail(place, `found tags ${show(tags)}, expected a list of texts`);
  }
  return tags;
}

function readMeta(meta: unknown, place: string): Readonly<Record<string, string>> {
  if (meta === undefined) return {};
  if (!isRecord(meta)) fail(place, `found meta ${show(meta)}, expected names and texts`);
  const pairs: [string, string][] = Object.entries(meta).map(([name, value]) => {
    if (typeof value !== "string")
      fail(place, `found meta ${show(name)} ${show(value)}, expected text (in quotes)`);
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

function readStatus(status: unknown, place: string): DiscoveryStatus | undefined {
  if (status === undefined) return undefined;
  const found = statuses.find((known) => known === status);
  if (found === undefined)
    fail(place, `found status ${show(status)}, expected one of ${statuses.join(", ")}`);
  return found;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function fail(place: string, what: string): never {
  throw new FileProblem(`${place}: ${what}`);
}
