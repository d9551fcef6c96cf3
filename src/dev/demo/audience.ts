import type { Chronicle, ChronicleEntry } from "./chronicle.js";
import { commandsToTry, places, takePicture } from "./picture.js";
import { Screen } from "./screen.js";
import type { Stage } from "./stage.js";
import { drawScreen } from "./view.js";
import { sayCount, sayFailures } from "./wording.js";

/** Who looks on: a person at a terminal, or a file. */
export interface Audience {
  /** What becomes of the demo now. */
  setStatus(status: string): void;
  /** The story is told and the demo serves on. */
  serveOn(): void;
  /** Takes the view away; what was told is left in lines that stay. */
  close(): void;
}

const FRAME_MS = 200;
/** How often plain output says that all is well while the demo serves on. */
const REPORT_MS = 10_000;

/** Whether the terminal can be drawn on: a real one that moves its cursor. */
export function canDraw(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY && env.TERM !== "dumb";
}

/** One screen, redrawn in place. */
export class LiveAudience implements Audience {
  readonly #stage: Stage;
  readonly #chronicle: Chronicle;
  readonly #stream: NodeJS.WriteStream;
  readonly #screen: Screen;
  readonly #isUnicode: boolean;
  readonly #timer: NodeJS.Timeout;
  readonly #redraw = (): void => this.#draw();
  readonly #drained = (): void => this.#screen.drained();
  #status = "Ctrl-C ends it";

  constructor(stage: Stage, chronicle: Chronicle, stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stage = stage;
    this.#chronicle = chronicle;
    this.#stream = stream;
    this.#isUnicode = /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "");
    this.#screen = new Screen(stream, (env.NO_COLOR ?? "") === "");
    this.#screen.enter();
    stream.on("resize", this.#redraw);
    stream.on("drain", this.#drained);
    chronicle.follow(this.#redraw);
    this.#timer = setInterval(this.#redraw, FRAME_MS);
  }

  setStatus(status: string): void {
    this.#status = status;
    this.#draw();
  }

  serveOn(): void {
    this.setStatus("serving until Ctrl-C");
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stream.off("resize", this.#redraw);
    this.#stream.off("drain", this.#drained);
    this.#screen.leave();
    for (const entry of this.#chronicle.entries) this.#stream.write(`${plainLine(entry)}\n`);
  }

  #draw(): void {
    const { columns, rows } = this.#screen;
    const picture = takePicture(this.#stage, this.#chronicle, this.#status);
    this.#screen.draw(drawScreen(picture, { columns, rows, isUnicode: this.#isUnicode }));
  }
}

/** Lines as things happen. */
export class PlainAudience implements Audience {
  readonly #stage: Stage;
  readonly #write: (line: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #isIntroduced = false;

  constructor(stage: Stage, chronicle: Chronicle, write: (line: string) => void) {
    this.#stage = stage;
    this.#write = write;
    write("pilotfish demo: a catalog, three backends, a sidecar and traffic, all on loopback");
    chronicle.follow((entry) => {
      this.#introduce();
      write(plainLine(entry));
    });
  }

  setStatus(): void {
    // Lines say what has happened; what is to come has no place among them.
  }

  serveOn(): void {
    this.#write("serving until Ctrl-C; to try, in another terminal:");
    for (const command of commandsToTry(this.#stage)) for (const part of command) this.#write(`  ${part}`);
    this.#timer = setInterval(() => this.#report(), REPORT_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Once everything runs, says where. */
  #introduce(): void {
    if (this.#isIntroduced || !this.#stage.isRunning) return;
    this.#isIntroduced = true;
    for (const { name, text } of places(this.#stage)) this.#write(`       ${name.padEnd(8)} ${text}`);
  }

  #report(): void {
    const { traffic } = this.#stage;
    const { requests, reasons } = traffic.counts();
    this.#write(
      `${Math.round(traffic.perSecond())} req/s, ${sayCount(requests, "request")}, failed: ${sayFailures(reasons)}`,
    );
  }
}

const WORDS: Readonly<Record<ChronicleEntry["state"], string>> = {
  running: "...",
  ok: "ok",
  failed: "FAIL",
};

/** A line of the story without colour. */
export function plainLine({ state, atMs, text }: ChronicleEntry): string {
  return `${(atMs / 1_000).toFixed(1).padStart(5)}s ${WORDS[state].padEnd(5)}${text}`;
}
