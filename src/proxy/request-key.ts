import type { KeyConfig } from "../config/balance-model.js";
import type { ClientFacts, FieldList, RequestHead } from "./message.js";

/** Fields as far as keys are read from them. */
export type ReadFields = Pick<FieldList, "count" | "nameAt" | "valueAt">;

/** A head as far as keys are read from it. */
export interface KeyedHead extends Pick<RequestHead, "target" | "authority" | "value"> {
  readonly fields: ReadFields;
}

/** Request path. The key of a request; undefined where it has none. A repeated field counts by its first value. */
export function keyOf(
  key: KeyConfig,
  head: KeyedHead,
  client: Pick<ClientFacts, "remoteAddress">,
): string | undefined {
  switch (key.on) {
    case "source":
      return client.remoteAddress === "" ? undefined : client.remoteAddress;
    case "header":
      // HTTP/2 and HTTP/1 carry it apart from the fields, and it is the same host in any case.
      return key.name === "host"
        ? head.authority.toLowerCase() || undefined
        : head.value(key.name) || undefined;
    case "cookie":
      return cookieOf(head.fields, key.name) || undefined;
    case "path":
      return pathOf(head.target);
    case "query":
      return parameterOf(head.target, key.name) || undefined;
  }
}

/** The first value of a cookie of a request, as sent (RFC 6265 section 5.4); undefined without it. */
export function cookieOf(fields: ReadFields, name: string): string | undefined {
  for (let index = 0; index < fields.count; index++) {
    if (fields.nameAt(index).toLowerCase() !== "cookie") continue;
    for (const pair of fields.valueAt(index).split(";")) {
      const equals = pair.indexOf("=");
      if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** As sent, undecoded: only sameness counts. */
function parameterOf(target: string, name: string): string | undefined {
  const query = target.indexOf("?");
  if (query < 0) return undefined;
  for (const pair of target.slice(query + 1).split("&")) {
    const equals = pair.indexOf("=");
    if ((equals < 0 ? pair : pair.slice(0, equals)) === name) return equals < 0 ? "" : pair.slice(equals + 1);
  }
  return undefined;
}
