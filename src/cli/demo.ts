import type { AddCommand } from "./command.js";

const HELP = `
The story takes under 40 seconds: three backends register themselves, traffic flows, one begins to fail and
is ejected, one is drained over gRPC and leaves. Nothing but this program is needed, and only loopback is used.

Exit codes:
  0  the story went as told
  1  it did not

Examples:
  $ pilotfish demo
  $ pilotfish demo --once`;

/** `pilotfish demo`: the whole thing in one terminal, without Consul. */
export const addDemo: AddCommand = (program, context) => {
  program
    .command("demo")
    .summary("show it at work, without Consul")
    .description(
      "Runs a catalog, three backends, a sidecar and traffic, and tells what happens; then serves until Ctrl-C.",
    )
    .option("--once", "end by itself after the story, with a verdict")
    .addHelpText("after", HELP)
    .action(async ({ once = false }: { once?: boolean }) => {
      const { runDemo } = await import("../dev/demo.js");
      context.exitWith(await runDemo({ once }));
    });
};
