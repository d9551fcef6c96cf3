/** Renders a pass as text for a terminal and as Markdown for a README. Pure. */
import { type Cell, findCell, hasErrors, judge, type Pass, ratioOf, summaryOf } from "./result.js";
import type { Limit, Metric, Row } from "./rows.js";
import { METRICS } from "./rows.js";
import type { Summary } from "./statistics.js";

const COLUMNS: readonly Metric[] = ["exchangesPerSecond", "mibPerSecond", "p50Us", "p99Us", "busyPercent"];

/** A median with its interval: `18.2 [17.9-18.8]`. */
export function formatSummary(summary: Summary, digits: number): string {
  const number = (value: number): string =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (summary.samples === 1) return number(summary.median);
  return `${number(summary.median)} [${number(summary.low)}-${number(summary.high)}]`;
}

function value(cell: Cell, metric: Metric): string {
  const summary = summaryOf(cell, metric);
  return summary === undefined ? "" : formatSummary(summary, METRICS[metric].digits);
}

/** A rate of bytes says something only where the bodies are large. */
function isTelling(row: Row, metric: Metric): boolean {
  return metric !== "mibPerSecond" || row.headline.includes(metric);
}

function ratio(pass: Pass, cell: Cell, reference: string, metric: Metric): string {
  if (cell.peer === reference) return "1";
  const found = ratioOf(cell, findCell(pass, cell.row, reference), metric);
  return found === undefined ? "" : formatSummary(found, 2);
}

function remark(cell: Cell): string {
  if (cell.skipped !== undefined) return cell.skipped;
  const broken = cell.samples.find((sample) => sample.errors > 0);
  if (broken !== undefined) return `ERRORS, not compared: ${broken.firstError ?? "unknown"}`;
  return cell.samples.find((sample) => sample.note !== undefined)?.note ?? "";
}

/** Pads columns to their widest cell, two spaces between them; the first two columns are text, the rest numbers. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [index, text] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, text.length);
  }
  return lines
    .map((line) =>
      line
        .map((text, index) => {
          const width = widths[index] ?? 0;
          return index < 2 || index === line.length - 1 ? text.padEnd(width) : text.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Every number of every proxy, one line each. Ratios are to `reference`, paired by round. */
export function renderText(
  pass: Pass,
  rows: readonly Row[],
  peers: readonly string[],
  reference: string,
): string {
  const lines: string[][] = [
    [
      "row",
      "proxy",
      "processor µs",
      `x ${reference}`,
      ...COLUMNS.map((metric) => METRICS[metric].title),
      `p99 x ${reference}`,
      "",
    ],
  ];
  const memory: string[][] = [["row", "proxy", METRICS.idleMib.title, METRICS.connectionKib.title, ""]];
  for (const row of rows) {
    for (const peer of peers) {
      const cell = findCell(pass, row.id, peer);
      if (cell === undefined) continue;
      if (row.kind === "memory") {
        memory.push([row.id, peer, value(cell, "idleMib"), value(cell, "connectionKib"), remark(cell)]);
        continue;
      }
      lines.push([
        row.id,
        peer,
        value(cell, "cpuUs"),
        ratio(pass, cell, reference, "cpuUs"),
        ...COLUMNS.map((metric) => (isTelling(row, metric) ? value(cell, metric) : "")),
        ratio(pass, cell, reference, "p99Us"),
        remark(cell),
      ]);
    }
  }
  const tables = [lines, memory].filter((table) => table.length > 1);
  return tables.map(alignColumns).join("\n\n");
}

/** The headline numbers, one line per row and number, one column per proxy, each with its ratio to `reference`. */
export function renderMarkdown(
  pass: Pass,
  rows: readonly Row[],
  peers: readonly string[],
  reference: string,
): string {
  const lines = [`| row | ${peers.join(" | ")} |`, `| --- |${" ---: |".repeat(peers.length)}`];
  for (const row of rows) {
    if (!pass.cells.some((cell) => cell.row === row.id)) continue;
    for (const metric of row.headline) {
      const cells = peers.map((peer) => markdownCell(pass, row, metric, peer, reference));
      lines.push(`| ${row.title}: ${METRICS[metric].title} | ${cells.join(" | ")} |`);
    }
  }
  return lines.join("\n");
}

function markdownCell(pass: Pass, row: Row, metric: Metric, peer: string, reference: string): string {
  const cell = findCell(pass, row.id, peer);
  if (cell === undefined) return "";
  if (cell.skipped !== undefined) return cell.skipped;
  if (hasErrors(cell)) return "errors";
  const shown = value(cell, metric);
  const compared = peer === reference ? "" : ratio(pass, cell, reference, metric);
  const note = row.kind === "traffic" && row.constantRate ? remark(cell) : "";
  return [shown, compared === "" ? "" : `**x ${compared}**`, note === "" ? "" : `(${note})`]
    .filter((part) => part !== "")
    .join("<br>");
}

/** One line per limit: kept, missed or unmeasured, and by what. */
export function renderLimits(
  pass: Pass,
  limits: readonly Limit[],
  rows: readonly Row[],
  subject: string,
): string {
  const lines: string[][] = [];
  for (const limit of limits) {
    if (!rows.some((row) => row.id === limit.row)) continue;
    const { verdict, found } = judge(pass, limit, subject);
    const to = limit.against === undefined ? "" : ` of ${limit.against}`;
    lines.push([
      verdict.toUpperCase(),
      limit.row,
      `${METRICS[limit.metric].title} ${limit.bound} ${limit.value}${to}`,
      found === undefined ? "" : formatSummary(found, 2),
    ]);
  }
  return alignColumns(lines);
}
