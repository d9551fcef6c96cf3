import type { Exchange, Reply } from "./exchange.js";
import { HttpProblem } from "./http-problem.js";
import type { KeyEntry, KeyStore } from "./key-store.js";
import type { Route } from "./router.js";

const maxValueBytes = 512 * 1024;

/** Routes of the key-value store. Sessions and locks are refused as Consul refuses an unknown session. */
export function keyRoutes(keys: KeyStore): Route[] {
  return [
    {
      path: "/v1/kv/",
      methods: {
        GET: (exchange) => get(keys, exchange),
        PUT: (exchange) => put(keys, exchange),
        DELETE: (exchange) => remove(keys, exchange),
      },
    },
  ];
}

function render(entry: KeyEntry): object {
  return {
    LockIndex: 0,
    Key: entry.Key,
    Flags: entry.Flags,
    Value: entry.Value.length === 0 ? null : entry.Value.toString("base64"),
    CreateIndex: entry.CreateIndex,
    ModifyIndex: entry.ModifyIndex,
  };
}

function missing(headers: Readonly<Record<string, string>>): Reply {
  return { status: 404, body: "", headers };
}

async function get(keys: KeyStore, exchange: Exchange): Promise<Reply> {
  const { query } = exchange;
  if (query.has("keys")) return listKeys(keys, exchange);
  if (query.has("recurse")) {
    const prefix = exchange.rest;
    return exchange.blocking(
      () => keys.prefixIndex(prefix),
      (headers) => {
        const entries = keys.list(prefix);
        return entries.length === 0 ? missing(headers) : exchange.json(entries.map(render), headers);
      },
      "keys",
    );
  }
  const key = exchange.required("Missing key name");
  return exchange.blocking(
    () => keys.keyIndex(key),
    (headers) => {
      const entry = keys.get(key);
      if (entry === undefined) return missing(headers);
      if (!query.has("raw")) return exchange.json([render(entry)], headers);
      return { status: 200, contentType: "text/plain", body: entry.Value, headers };
    },
    "keys",
  );
}

async function listKeys(keys: KeyStore, exchange: Exchange): Promise<Reply> {
  const prefix = exchange.rest;
  const separator = exchange.query.get("separator") ?? "";
  return exchange.blocking(
    () => keys.prefixIndex(prefix),
    (headers) => {
      const names = keys.list(prefix).map((entry) => cutAt(entry.Key, prefix, separator));
      return names.length === 0 && prefix !== ""
        ? missing(headers)
        : exchange.json([...new Set(names)], headers);
    },
    "keys",
  );
}

/** The key up to the first separator after the prefix, so that a "folder" is listed once. */
function cutAt(key: string, prefix: string, separator: string): string {
  if (separator === "") return key;
  const at = key.indexOf(separator, prefix.length);
  return at < 0 ? key : key.slice(0, at + separator.length);
}

function readUint(exchange: Exchange, name: string): number | undefined {
  const text = exchange.query.get(name);
  if (text === null || (text === "" && name === "flags")) return undefined;
  if (!/^[0-9]+$/.test(text)) {
    throw new HttpProblem(500, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

async function put(keys: KeyStore, exchange: Exchange): Promise<Reply> {
  const key = exchange.required("Missing key name");
  exchange.requireOwnDatacenter();
  const session = exchange.query.get("acquire") ?? exchange.query.get("release");
  if (session !== null) throw new HttpProblem(500, `invalid session ${JSON.stringify(session)}`);
  const flags = readUint(exchange, "flags") ?? 0;
  const cas = readUint(exchange, "cas");
  const value = await exchange.bytes(maxValueBytes);
  return exchange.json(keys.put(key, value, flags, cas));
}

function remove(keys: KeyStore, exchange: Exchange): Reply {
  exchange.requireOwnDatacenter();
  if (exchange.query.has("recurse")) {
    keys.deleteTree(exchange.rest);
    return exchange.json(true);
  }
  const key = exchange.required("Missing key name");
  return exchange.json(keys.delete(key, readUint(exchange, "cas")));
}
