import { choice, isAnyMap, text } from "./field.js";

const NAMED: readonly unknown[] = ["header", "cookie", "query"];

/** The fields that say which part of a request is its key. */
export const keyFields = {
  on: choice(
    "What decides: the client's address, a field, a cookie, the path, or a parameter of the query.",
    ["source", "header", "cookie", "path", "query"],
  ),
  name: text(
    "Name of the field, cookie or parameter.",
    "a name of letters, digits and -_.",
    /^[A-Za-z0-9_.-]{1,128}$/,
  ).optional(),
};

/** A rule of a map with these fields: a name stands where there is something to name, and only there. */
export const keyRule = {
  path: ["name"],
  error: "a name with on: header, cookie or query, and none otherwise",
  when: isAnyMap,
};

/** Whether that rule is kept; what is no key at all is another rule's business. */
export function isKeyNamed(map: { readonly on?: unknown; readonly name?: unknown }): boolean {
  return typeof map.on !== "string" || NAMED.includes(map.on) === Object.hasOwn(map, "name");
}
