/** What a piece of text means; the screen decides how that looks. */
export type Tone = "plain" | "title" | "dim" | "good" | "warn" | "bad" | "accent";

/** A piece of text in one tone. Characters are one column wide each. */
export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

/** One line of a screen. */
export type StyledLine = readonly Span[];

const CODES: Readonly<Record<Tone, string>> = {
  plain: "",
  title: "\u001b[1m",
  dim: "\u001b[2m",
  good: "\u001b[32m",
  warn: "\u001b[33m",
  bad: "\u001b[31m",
  accent: "\u001b[36m",
};
const RESET = "\u001b[0m";

/** A piece of text, plain without a tone. */
export function span(text: string, tone: Tone = "plain"): Span {
  return { text, tone };
}

/** Columns a line takes. */
export function widthOf(line: StyledLine): number {
  return line.reduce((sum, { text }) => sum + text.length, 0);
}

/** The line, cut to the columns there are. */
export function cut(line: StyledLine, columns: number): StyledLine {
  let left = columns;
  return line.flatMap(({ text, tone }) => {
    const part = text.slice(0, Math.max(0, left));
    left -= text.length;
    return part === "" ? [] : [{ text: part, tone }];
  });
}

/** Text in lines of at most so many columns, broken at spaces where there are any. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > columns) {
    const space = rest.lastIndexOf(" ", columns);
    const at = space > 0 ? space : columns;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...lines, rest];
}

/** The line as the terminal takes it. */
export function render(line: StyledLine, isColoured: boolean): string {
  return line
    .map(({ text, tone }) => (isColoured && tone !== "plain" ? `${CODES[tone]}${text}${RESET}` : text))
    .join("");
}
