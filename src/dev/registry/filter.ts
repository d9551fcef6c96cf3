import { type Comparison, type FilterNode, parseFilter } from "./filter-parser.js";
import type { FilterSchema } from "./filter-schema.js";
import { parseGoBool } from "./go-duration.js";
import { isObject } from "./go-struct.js";
import { HttpProblem } from "./http-problem.js";

/** Decides about one element of an answer. */
export type Filter = (element: unknown) => boolean;

type Test = (value: unknown) => boolean;

const operatorsByKind: Readonly<Record<FilterSchema["kind"], readonly Comparison["operator"][]>> = {
  string: ["Equal", "Not Equal", "In", "Not In", "Matches", "Not Matches"],
  int: ["Equal", "Not Equal"],
  bool: ["Equal", "Not Equal"],
  strings: ["In", "Not In", "Is Empty", "Is Not Empty"],
  stringMap: ["In", "Not In", "Is Empty", "Is Not Empty"],
  list: ["Is Empty", "Is Not Empty"],
  map: ["In", "Not In", "Is Empty", "Is Not Empty"],
  struct: [],
};

/**
 * Makes the filter that `?filter=` asks for; empty text accepts everything.
 * @throws HttpProblem (500, as Consul 1.8.7 answers) for a syntax error, an unknown selector, an operator the
 * selected value does not have, or a value of the wrong kind.
 */
export function compileFilter(source: string, schema: FilterSchema): Filter {
  if (source.trim() === "") return () => true;
  try {
    return compileNode(parseFilter(source), schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HttpProblem(500, `Failed to create boolean expression evaluator: ${reason}`);
  }
}

function compileNode(node: FilterNode, schema: FilterSchema): Filter {
  if (node.kind === "not") {
    const inner = compileNode(node.inner, schema);
    return (element) => !inner(element);
  }
  if (node.kind === "compare") return compileComparison(node, schema);
  const left = compileNode(node.left, schema);
  const right = compileNode(node.right, schema);
  if (node.kind === "and") return (element) => left(element) && right(element);
  return (element) => left(element) || right(element);
}

function compileComparison(comparison: Comparison, schema: FilterSchema): Filter {
  const { steps, leaf } = resolve(comparison.path, schema);
  if (!operatorsByKind[leaf.kind].includes(comparison.operator)) {
    const selector = comparison.path.join(".");
    throw new Error(`Invalid match operator "${comparison.operator}" for selector "${selector}"`);
  }
  const test = compileTest(comparison, leaf);
  // What Consul 1.8.7 makes of a key that is missing: nothing equals it and it holds nothing, but it matches.
  const onMissing = !["Equal", "In", "Is Empty"].includes(comparison.operator);
  return (element) => walk(element, steps, 0, onMissing, test);
}

/** One step of a path; a key may be missing from its map, a field never is. */
interface Step {
  readonly name: string;
  readonly isKey: boolean;
}

function resolve(
  path: readonly string[],
  schema: FilterSchema,
): { readonly steps: Step[]; readonly leaf: FilterSchema } {
  const steps: Step[] = [];
  let current = schema;
  for (const [position, name] of path.entries()) {
    while (current.kind === "list") current = current.item;
    const isKey = current.kind === "map" || current.kind === "stringMap";
    let next: FilterSchema | undefined;
    if (current.kind === "struct" && Object.hasOwn(current.fields, name)) next = current.fields[name];
    else if (current.kind === "map") next = current.item;
    else if (current.kind === "stringMap") next = { kind: "string" };
    if (next === undefined)
      throw new Error(`Selector "${path.slice(0, position + 1).join(".")}" is not valid`);
    steps.push({ name, isKey });
    current = next;
  }
  return { steps, leaf: current };
}

function compileTest(comparison: Comparison, leaf: FilterSchema): Test {
  const { operator, value } = comparison;
  const selector = comparison.path.join(".");
  const isNegated = operator.includes("Not");
  const positive = ((): Test => {
    switch (operator) {
      case "Equal":
      case "Not Equal": {
        const wanted = coerce(value, leaf.kind, selector);
        return (found) => (leaf.kind === "string" ? (found ?? "") : found) === wanted;
      }
      case "In":
      case "Not In":
        return (found) => holds(found, value);
      case "Is Empty":
      case "Is Not Empty":
        return (found) => sizeOf(found) === 0;
      case "Matches":
      case "Not Matches": {
        const pattern = compilePattern(value);
        return (found) => pattern.test(String(found ?? ""));
      }
    }
  })();
  return isNegated ? (found) => !positive(found) : positive;
}

function coerce(value: string, kind: FilterSchema["kind"], selector: string): string | number | boolean {
  const refuse = (parser: string) =>
    new Error(
      `Failed to coerce value "${value}" for selector "${selector}": strconv.${parser}: parsing "${value}": invalid syntax`,
    );
  if (kind === "int") {
    if (!/^[+-]?[0-9]+$/.test(value)) throw refuse("ParseInt");
    return Number(value);
  }
  if (kind === "bool") {
    const parsed = parseGoBool(value);
    if (parsed === undefined) throw refuse("ParseBool");
    return parsed;
  }
  return value;
}

function compilePattern(source: string): RegExp {
  try {
    return new RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Failed to compile regular expression "${source}": ${reason}`);
  }
}

function holds(found: unknown, value: string): boolean {
  if (typeof found === "string") return found.includes(value);
  if (Array.isArray(found)) return found.includes(value);
  return isObject(found) && Object.hasOwn(found, value);
}

function sizeOf(found: unknown): number {
  if (Array.isArray(found)) return found.length;
  return isObject(found) ? Object.keys(found).length : 0;
}

/** A list on the way means "any of its elements", also for a negated operator, as in Consul. */
function walk(
  value: unknown,
  steps: readonly Step[],
  position: number,
  onMissing: boolean,
  test: Test,
): boolean {
  const step = steps[position];
  if (step === undefined) return test(value);
  if (Array.isArray(value)) return value.some((item) => walk(item, steps, position, onMissing, test));
  const found = isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined;
  if (step.isKey && found === undefined) return onMissing;
  return walk(found, steps, position + 1, onMissing, test);
}
