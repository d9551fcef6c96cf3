import type { ChronicleEntry } from "./chronicle.js";
import { cut, type Span, type StyledLine, span, type Tone, widthOf, wrap } from "./styled-text.js";

/** One backend as it is shown. */
export interface BackendRow {
  readonly id: string;
  readonly address: string;
  readonly state: string;
  readonly tone: Tone;
  readonly weight: number;
  readonly inFlight: number;
  readonly perSecond: number;
  readonly errors: number;
  /** Median of the last moments; undefined when it answered nothing. */
  readonly latencyMs: number | undefined;
}

/** Everything one screen shows. */
export interface DemoPicture {
  readonly title: string;
  /** What becomes of the demo now, at the right of the title. */
  readonly status: string;
  /** Names and what stands beside them, such as addresses. */
  readonly places: readonly { readonly name: string; readonly text: string; readonly tone: Tone }[];
  /** Whether there is anything to show of backends and traffic. */
  readonly isRunning: boolean;
  readonly backends: readonly BackendRow[];
  readonly traffic: string;
  readonly failures: string;
  readonly story: readonly ChronicleEntry[];
  /** Commands to try by hand, each of one line or several. */
  readonly commands: readonly (readonly string[])[];
}

/** Size and abilities of the terminal. */
export interface ScreenShape {
  readonly columns: number;
  readonly rows: number;
  /** Whether marks beyond ASCII are shown. */
  readonly isUnicode: boolean;
}

const MARKS = {
  unicode: { ok: "✓", failed: "✗", running: "▸", bar: "█" },
  ascii: { ok: "+", failed: "!", running: ">", bar: "#" },
} as const;
const TONES: Readonly<Record<ChronicleEntry["state"], Tone>> = {
  ok: "good",
  failed: "bad",
  running: "accent",
};
/** Columns of the table without the bar. */
const TABLE_COLUMNS = 79;
/** Requests per second one cell of the bar stands for. */
const BAR_STEP = 5;
/** Lines of the story that are shown before room is given to the commands. */
const STORY_FIRST = 7;

/** The screen, from top to bottom: never more lines than rows, never wider than the columns. Pure. */
export function drawScreen(picture: DemoPicture, shape: ScreenShape): StyledLine[] {
  const head = [...drawTitle(picture, shape), ...picture.places.map(drawPlace), []];
  const table = picture.isRunning ? [...drawTable(picture.backends, shape), drawTraffic(picture), []] : [];
  const free = shape.rows - head.length - table.length - 1;
  const commands = drawCommands(picture.commands, free - STORY_FIRST, shape.columns);
  const story = drawStory(picture.story, free - commands.length, shape);
  return [...head, ...table, [span("The story", "title")], ...story, ...commands]
    .slice(0, Math.max(0, shape.rows))
    .map((line) => cut(line, shape.columns));
}

function drawTitle({ title, status }: DemoPicture, { columns }: ScreenShape): StyledLine[] {
  const gap = Math.max(2, columns - title.length - status.length);
  return [[span(title, "title"), span(" ".repeat(gap)), span(status, "accent")]];
}

function drawPlace({ name, text, tone }: DemoPicture["places"][number]): StyledLine {
  return [span(name.padEnd(9), "dim"), span(text, tone)];
}

function drawTable(backends: readonly BackendRow[], shape: ScreenShape): StyledLine[] {
  const heading = row("BACKEND", "ADDRESS", "STATE", "WEIGHT", "IN FLIGHT", "REQ/S", "ERRORS", "LATENCY");
  return [[span(heading, "dim")], ...backends.map((backend) => drawBackend(backend, shape))];
}

function drawBackend(backend: BackendRow, { columns, isUnicode }: ScreenShape): StyledLine {
  const latency = backend.latencyMs === undefined ? "-" : `${Math.round(backend.latencyMs)} ms`;
  const numbers = [backend.weight, backend.inFlight, Math.round(backend.perSecond), backend.errors];
  const line: Span[] = [
    span(backend.id.padEnd(8)),
    span(backend.address.padEnd(16)),
    span(` ${backend.state.slice(0, 15).padEnd(15)}`, backend.tone),
    span(row("", "", "", ...numbers.map(String), latency).slice(40)),
  ];
  const room = columns - TABLE_COLUMNS - 2;
  const cells = Math.min(room, Math.round(backend.perSecond / BAR_STEP));
  if (cells > 0)
    line.push(span(`  ${(isUnicode ? MARKS.unicode : MARKS.ascii).bar.repeat(cells)}`, backend.tone));
  return line;
}

function row(...cells: string[]): string {
  const [
    id = "",
    address = "",
    state = "",
    weight = "",
    inFlight = "",
    perSecond = "",
    errors = "",
    latency = "",
  ] = cells;
  return (
    `${id.padEnd(8)}${address.padEnd(16)} ${state.padEnd(15)}${weight.padStart(7)}${inFlight.padStart(10)}` +
    `${perSecond.padStart(6)}${errors.padStart(7)}${latency.padStart(9)}`
  );
}

function drawTraffic({ traffic, failures }: DemoPicture): StyledLine {
  return [
    span("client   ", "dim"),
    span(`${traffic}, `),
    span(failures, failures === "none failed" ? "good" : "warn"),
  ];
}

function drawStory(story: readonly ChronicleEntry[], rows: number, shape: ScreenShape): StyledLine[] {
  const lines = story.flatMap((entry) => drawEntry(entry, shape));
  return rows <= 0 ? [] : lines.slice(-rows);
}

function drawEntry({ state, atMs, text }: ChronicleEntry, { columns, isUnicode }: ScreenShape): StyledLine[] {
  const mark = (isUnicode ? MARKS.unicode : MARKS.ascii)[state];
  const time = `${(atMs / 1_000).toFixed(1)}s`.padStart(6);
  const indent = time.length + 3;
  return wrap(text, Math.max(10, columns - indent)).map((part, place) =>
    place === 0
      ? [span(`${time} `, "dim"), span(`${mark} `, TONES[state]), span(part)]
      : [span(" ".repeat(indent)), span(part)],
  );
}

/** As many whole commands as there is room for, after a line of distance. */
function drawCommands(commands: DemoPicture["commands"], rows: number, columns: number): StyledLine[] {
  const lines: StyledLine[] = [[], [span("Try, in another terminal", "title")]];
  for (const command of commands) {
    const drawn = command.map((part) => [span(`  ${part}`, "accent")]);
    const isWhole = drawn.every((line) => widthOf(line) <= columns);
    if (isWhole && lines.length + drawn.length <= rows) lines.push(...drawn);
  }
  return lines.length > 2 ? lines : [];
}
