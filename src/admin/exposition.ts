// Prometheus text, format 0.0.4.

/** One sample of each subject. */
export interface Part<Subject> {
  /** Rendered labels beside those of the subject, or empty. */
  readonly labels: string;
  /** Undefined leaves the sample out. */
  readonly value: (subject: Subject) => number | undefined;
}

/** A metric: its samples share a name, a type and a meaning. */
export interface Family<Subject> {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly parts: readonly Part<Subject>[];
}

/** Something that has samples, and its rendered labels, or none. */
export type Subjects<Subject> = readonly (readonly [subject: Subject, labels: string])[];

/** Lines made at a time; traffic is served in between. */
const CHUNK_LINES = 500;

/** Renders each family over all subjects; a family without any sample is left out. */
export function* renderFamilies<Subject>(
  families: readonly Family<Subject>[],
  subjects: Subjects<Subject>,
): Generator<string, void, void> {
  if (subjects.length === 0) return;
  for (const family of families) {
    let head = `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    let text = "";
    let lines = 0;
    for (const [subject, labels] of subjects) {
      for (const part of family.parts) {
        const value = part.value(subject);
        if (value === undefined) continue;
        text += `${head}${family.name}${inBraces(labels, part.labels)} ${value}\n`;
        head = "";
        lines++;
      }
      if (lines < CHUNK_LINES) continue;
      yield text;
      text = "";
      lines = 0;
    }
    yield text;
  }
}

function inBraces(labels: string, more: string): string {
  if (labels === "") return more === "" ? "" : `{${more}}`;
  return more === "" ? `{${labels}}` : `{${labels},${more}}`;
}

/** One label, rendered and escaped. */
export function label(name: string, value: string): string {
  const escaped = value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `${name}="${escaped}"`;
}

/** A family with one sample per subject that may go down. */
export function gauge<Subject>(
  name: string,
  help: string,
  value: (subject: Subject) => number | undefined,
): Family<Subject> {
  return { name, type: "gauge", help, parts: [{ labels: "", value }] };
}

/** A family with one sample per subject that only grows. */
export function counter<Subject>(
  name: string,
  help: string,
  value: (subject: Subject) => number,
): Family<Subject> {
  return { name, type: "counter", help, parts: [{ labels: "", value }] };
}
