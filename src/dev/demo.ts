import { type Audience, canDraw, LiveAudience, PlainAudience } from "./demo/audience.js";
import { Chronicle, Interrupted } from "./demo/chronicle.js";
import { Stage } from "./demo/stage.js";
import { tellStory } from "./demo/story.js";
import { sayCount } from "./demo/wording.js";

/** How long the demo runs. */
export interface DemoOptions {
  /** Ends after the story; otherwise it serves until Ctrl-C. */
  readonly once: boolean;
}

const GOOD = 0;
const BAD = 1;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Under npm one Ctrl-C comes twice, from the terminal and from npm: a second wish to end comes later than that. */
const SAME_SIGNAL_MS = 500;

/**
 * Runs the demo on the standard output of this process: a live screen on a terminal, lines elsewhere. Answers the
 * exit code, 0 when no step of the story failed and everything ended in order. Never rejects. Ctrl-C (SIGTERM,
 * SIGHUP) ends all parts, a second one at once.
 */
export async function runDemo({ once }: DemoOptions): Promise<number> {
  const end = new AbortController();
  let interruptedMs: number | undefined;
  const interrupt = (): void => {
    interruptedMs ??= performance.now();
    // The `exit` handlers of the parts kill what still runs and remove the folder.
    if (performance.now() - interruptedMs > SAME_SIGNAL_MS) process.exit(BAD);
    end.abort(new Interrupted("interrupted"));
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  process.stdout.on("error", () => end.abort(new Interrupted("nobody reads the output")));
  const problems: string[] = [];
  const lose = (reason: string): void => {
    problems.push(reason);
    end.abort(new Interrupted(reason));
  };
  try {
    const stage = await Stage.open(lose);
    return await play(stage, once, end.signal, problems);
  } catch (error) {
    console.error(`pilotfish: ${error instanceof Error ? error.message : String(error)}`);
    return BAD;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

async function play(stage: Stage, once: boolean, signal: AbortSignal, problems: string[]): Promise<number> {
  const chronicle = new Chronicle(() => performance.now());
  const { stdout } = process;
  const audience: Audience = canDraw(stdout, process.env)
    ? new LiveAudience(stage, chronicle, stdout, process.env)
    : new PlainAudience(stage, chronicle, (line) => console.log(line));
  let isTold = false;
  try {
    await tellStory({ stage, chronicle, signal });
    isTold = true;
    if (!once) {
      audience.serveOn();
      await aborted(signal);
    }
  } catch (error) {
    if (!(error instanceof Interrupted))
      problems.push(error instanceof Error ? error.message : String(error));
  }
  audience.setStatus("ending");
  const left = await stage.close().catch((error: unknown) => [String(error)]);
  audience.close();
  return judge(chronicle, isTold, [...problems, ...left]);
}

/** The last words. An interrupted story is no failure unless something had failed before. */
function judge(chronicle: Chronicle, isTold: boolean, problems: readonly string[]): number {
  for (const problem of problems) console.error(`pilotfish: ${problem}`);
  const failed = chronicle.entries.filter(({ state }) => state === "failed").length;
  const told = chronicle.entries.filter(({ state }) => state !== "running").length;
  const isGood = failed === 0 && problems.length === 0;
  const seconds = (chronicle.elapsedMs / 1_000).toFixed(0);
  if (failed > 0) console.log(`verdict: ${failed} of ${sayCount(told, "step")} failed`);
  else if (problems.length > 0) console.log("verdict: the demo broke off");
  else if (isTold)
    console.log(`verdict: all ${sayCount(told, "step")} as they should be, ended cleanly after ${seconds} s`);
  else console.log(`interrupted after ${seconds} s, ended cleanly`);
  return isGood ? GOOD : BAD;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
