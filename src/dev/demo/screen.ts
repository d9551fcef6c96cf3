import { writeSync } from "node:fs";
import { render, type StyledLine, span, widthOf } from "./styled-text.js";

/** What of the terminal a screen needs. */
export interface ScreenOutput {
  readonly columns?: number;
  readonly rows?: number;
  readonly fd?: number;
  write(text: string): boolean;
}

const ESC = "\u001b[";
// The other screen, no cursor, no wrapping of lines; and the way back.
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l${ESC}2J`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
// Terminals that know it show a frame whole; the others ignore it.
const BEGIN_FRAME = `${ESC}?2026h${ESC}H`;
const END_FRAME = `${ESC}?2026l`;

/** The terminal's second screen, drawn over in place. The first comes back as it was, however the process ends. */
export class Screen {
  readonly #output: ScreenOutput;
  readonly #isColoured: boolean;
  readonly #leaveAtExit = (): void => {
    writeSync(this.#output.fd ?? 1, LEAVE);
  };
  #isFull = false;

  constructor(output: ScreenOutput, isColoured: boolean) {
    this.#output = output;
    this.#isColoured = isColoured;
  }

  get columns(): number {
    return this.#output.columns ?? 80;
  }

  get rows(): number {
    return this.#output.rows ?? 24;
  }

  enter(): void {
    process.on("exit", this.#leaveAtExit);
    this.#output.write(ENTER);
  }

  /** Draws a frame over the last one, unless the terminal has not taken that yet. */
  draw(lines: readonly StyledLine[]): void {
    if (this.#isFull) return;
    // Written over to the last column: erasing would flicker where frames are not shown whole.
    const text = Array.from({ length: this.rows }, (_, row) =>
      render(pad(lines[row] ?? [], this.columns), this.#isColoured),
    ).join("\r\n");
    this.#isFull = !this.#output.write(BEGIN_FRAME + text + END_FRAME);
  }

  /** The terminal takes more. */
  drained(): void {
    this.#isFull = false;
  }

  leave(): void {
    process.off("exit", this.#leaveAtExit);
    this.#output.write(LEAVE);
  }
}

function pad(line: StyledLine, columns: number): StyledLine {
  return [...line, span(" ".repeat(Math.max(0, columns - widthOf(line))))];
}
