/** `npm run bench`: the same load against pilotfish and its peers, side by side. See --help. */
import { writeFileSync } from "node:fs";
import { growthMib, runChurn } from "./churn.js";
import { Harness } from "./harness.js";
import { describeMachine, renderMachine } from "./machine.js";
import { type BenchOptions, readOptions, USAGE } from "./options.js";
import { runPass } from "./pass.js";
import { REFERENCE } from "./peers/all.js";
import { countDisturbed, failuresOf, type Pass } from "./result.js";
import { LIMITS } from "./rows.js";
import { renderLimits, renderMarkdown, renderText } from "./table.js";

const SUBJECT = "pilotfish";

function report(pass: Pass, options: BenchOptions): void {
  const names = options.peers.map((peer) => peer.name);
  console.log(
    `\nAccess logs ${pass.logs ? "on" : "off"}; medians of ${options.rounds} rounds [interval]; ratios are paired by round\n`,
  );
  console.log(renderText(pass, options.rows, names, REFERENCE));
  const { disturbed, samples } = countDisturbed(pass);
  if (disturbed > 0) {
    console.log(`\nNOTE: ${disturbed} of ${samples} samples were taken while others used the machine`);
  }
  if (names.includes(SUBJECT)) console.log(`\n${renderLimits(pass, LIMITS, options.rows, SUBJECT)}`);
  for (const failure of failuresOf(pass, SUBJECT)) {
    console.log(`\nFAILED ${failure}`);
    process.exitCode = 1;
  }
  if (options.markdown) console.log(`\n${renderMarkdown(pass, options.rows, names, REFERENCE)}`);
}

async function churn(minutes: number, jsonFile: string | undefined): Promise<void> {
  const samples = await runChurn(minutes);
  const errors = samples.reduce((sum, sample) => sum + sample.errors, 0);
  if (errors > 0) {
    console.log(`\nFAILED: ${errors} errors`);
    process.exitCode = 1;
  }
  const growth = growthMib(samples);
  if (growth === undefined) console.log("\ntoo short to tell whether it grows");
  else console.log(`\nlast third against the one before: ${growth.toFixed(1)} MiB`);
  if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(samples, undefined, 2)}\n`);
}

async function run(options: BenchOptions): Promise<void> {
  const machine = describeMachine(options.peers);
  console.log(renderMachine(machine));
  const harness = new Harness();
  const stopEarly = (): void => {
    void harness.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", stopEarly).once("SIGTERM", stopEarly);
  const passes: Pass[] = [];
  try {
    await harness.start();
    for (const logs of options.logs) {
      const pass = await runPass(harness, options, logs, (text) => console.error(text));
      passes.push(pass);
      report(pass, options);
    }
  } finally {
    await harness.stop();
  }
  if (options.jsonFile !== undefined) {
    const { rounds, warmupMs, windowMs, settleMs } = options;
    const content = { machine, settings: { rounds, warmupMs, windowMs, settleMs }, passes };
    writeFileSync(options.jsonFile, `${JSON.stringify(content, undefined, 2)}\n`);
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") console.log(USAGE);
  else if (options.churnMinutes !== undefined) await churn(options.churnMinutes, options.jsonFile);
  else await run(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
