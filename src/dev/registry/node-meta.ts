import type { NodeShape } from "./shapes.js";

/** The test `?node-meta=key:value` asks for; several must all hold. */
export function nodeMetaTest(query: URLSearchParams): (node: NodeShape) => boolean {
  const pairs = query.getAll("node-meta").map((pair) => {
    const colon = pair.indexOf(":");
    return colon < 0 ? { key: pair, value: "" } : { key: pair.slice(0, colon), value: pair.slice(colon + 1) };
  });
  return (node) => pairs.every(({ key, value }) => node.Meta !== null && node.Meta[key] === value);
}
