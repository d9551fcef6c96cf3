/** Where a value stands in the file: keys of maps and positions in lists, from the root. */
export type Path = readonly (string | number)[];

/** Writes a path as a reader of the file would: `pools[1].timeouts.connect`; the root is empty. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z0-9_-]+$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** The value at a path of a plain tree; undefined where the path leads nowhere. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === "number") value = value[step];
    else if (isMap(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** Whether the value is a map of the file: not a list, not nothing. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as a list; anything else is an empty one, for checks that must live with faulty files. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
