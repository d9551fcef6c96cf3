import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { DiscoveryStatus } from "../../../core/endpoint.js";
import { findDuplicateId, type GivenEndpoint } from "../given-endpoint.js";

export type ParsedEndpointFile =
  | { readonly ok: true; readonly endpoints: readonly GivenEndpoint[] }
  /** `line N: what was found, what was expected`. */
  | { readonly ok: false; readonly problem: string };

/** HAProxy's range; a person who writes a list needs no more. */
const weightMax = 256;
const statuses: readonly DiscoveryStatus[] = ["passing", "warning", "critical", "maintenance"];
const fields = ["address", "id", "weight", "tags", "meta", "status"];
const shapes = '"host:port" or { address, id, weight, tags, meta, status }';

/**
 * Reads a list of endpoints in YAML or JSON: a list, or an object whose `endpoints` is one, of `host:port` or
 * `{ address, id, weight, tags, meta, status }`. The first mistake spoils the file. Empty text is a mistake (it
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

/** A value together with where it stands. */
interface Placed {
  readonly value: unknown;
  readonly line: number;
}

function readFile(text: string): readonly GivenEndpoint[] {
  const items = splitItems(text);
  const endpoints = items.map(readEndpoint);
  const duplicate = findDuplicateId(endpoints);
  if (duplicate !== undefined) {
    const line = items[duplicate.second]?.line ?? 0;
    fail(
      line,
      `${duplicate.id} is listed before, in line ${items[duplicate.first]?.line}; expected an id of its own`,
    );
  }
  return endpoints;
}

function splitItems(text: string): readonly Placed[] {
  if (text.trim() === "") fail(1, "the file is empty; expected a list of endpoints ([] for none)");
  return splitJson(text) ?? splitYaml(text);
}

/** JSON is a part of YAML but a hundred times faster to read, as long as no line number is needed. */
function splitJson(text: string): readonly Placed[] | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const list = Array.isArray(value) ? value : (value as { readonly endpoints?: unknown }).endpoints;
    if (!Array.isArray(list)) return undefined;
    const items = list.map((item: unknown) => ({ value: item, line: 1 }));
    items.forEach(readEndpoint);
    if (!Array.isArray(value) && Object.keys(value as object).length !== 1) return undefined;
    return findDuplicateId(items.map(readEndpoint)) === undefined ? items : undefined;
  } catch {
    // Whatever is wrong, the other reader finds it again and knows where.
    return undefined;
  }
}

function splitYaml(text: string): readonly Placed[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) fail(lines.linePos(error.pos[0]).line, `${error.message}; expected YAML or JSON`);
  const lineOf = (node: Node | null | undefined) => lines.linePos(node?.range?.[0] ?? 0).line;
  const root = document.contents;
  let list: unknown = root;
  if (isMap(root)) {
    list = root.get("endpoints", true);
    for (const pair of root.items) {
      const key = isScalar(pair.key) ? pair.key : undefined;
      if (key?.value !== "endpoints")
        fail(lineOf(key), `found ${show(key?.value)}, expected only "endpoints"`);
    }
  }
  if (!isSeq<Node>(list)) fail(lineOf(root), `expected a list of endpoints, or { endpoints: [...] }`);
  return list.items.map((node) => ({ value: toPlain(node, document, lineOf(node)), line: lineOf(node) }));
}

/** An alias may lead nowhere, or unfold without end. */
function toPlain(node: Node, document: Document, line: number): unknown {
  try {
    return node.toJS(document, { maxAliasCount: 100 });
  } catch (cause) {
    return fail(line, cause instanceof Error ? cause.message : String(cause));
  }
}

function readEndpoint(item: Placed): GivenEndpoint {
  const { value, line } = item;
  if (typeof value === "string") {
    return { id: undefined, ...readAddress(value, line), weight: 1, tags: [], meta: {} };
  }
  if (!isRecord(value)) fail(line, `found ${show(value)}, expected ${shapes}`);
  const unknown = Object.keys(value).find((key) => !fields.includes(key));
  if (unknown !== undefined) fail(line, `found field ${show(unknown)}, expected one of ${fields.join(", ")}`);
  const { address, id, weight, tags, meta, status } = value;
  if (typeof address !== "string") fail(line, `found address ${show(address)}, expected "host:port"`);
  return {
    id: readId(id, line),
    ...readAddress(address, line),
    weight: readWeight(weight, line),
    tags: readTags(tags, line),
    meta: readMeta(meta, line),
    status: readStatus(status, line),
  };
}

function readAddress(text: string, line: number): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s/@]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    fail(
      line,
      `found address ${show(text)}, expected "host:port" or "[IPv6]:port" with a port of 1 to 65535`,
    );
  }
  return { host, port };
}

function readId(id: unknown, line: number): string | undefined {
  if (id === undefined) return undefined;
  if (typeof id !== "string" || id === "") fail(line, `found id ${show(id)}, expected text`);
  return id;
}

function readWeight(weight: unknown, line: number): number {
  if (weight === undefined) return 1;
  if (typeof weight !== "number" || !Number.isInteger(weight) || weight < 0 || weight > weightMax) {
    fail(line, `found weight ${show(weight)}, expected a whole number from 0 to ${weightMax}`);
  }
  return weight;
}

function readTags(tags: unknown, line: number): readonly string[] {
  if (tags === undefined) return [];
  if (!Array.isArray(tags) || !tags.every((tag): tag is string => typeof tag === "string")) {
    fail(line, `found tags ${show(tags)}, expected a list of texts`);
  }
  return tags;
}

function readMeta(meta: unknown, line: number): Readonly<Record<string, string>> {
  if (meta === undefined) return {};
  if (!isRecord(meta)) fail(line, `found meta ${show(meta)}, expected names and texts`);
  const pairs: [string, string][] = Object.entries(meta).map(([name, value]) => {
    if (typeof value !== "string")
      fail(line, `found meta ${show(name)} ${show(value)}, expected text (in quotes)`);
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

function readStatus(status: unknown, line: number): DiscoveryStatus | undefined {
  if (status === undefined) return undefined;
  const found = statuses.find((known) => known === status);
  if (found === undefined) fail(line, `found status ${show(status)}, expected one of ${statuses.join(", ")}`);
  return found;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function fail(line: number, what: string): never {
  throw new FileProblem(`line ${line}: ${what}`);
}
