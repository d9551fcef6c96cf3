import type { AddCommand } from "./command.js";

const HELP = `
The story takes under 40 seconds: three backends register themselves, traffic flows, one begins to fail, is
ejected and returns, one is drained over gRPC and leaves, another one joins, and the catalog is away for a
while. Each step is checked against what the admin API says. The backends and the proxy ("pilotfish run")
are processes of their own. Nothing but this program is needed, and only loopback is used: ports 8500, 7070,
7080 and 8080 where they are free, others where not.

On a terminal it is one live screen, elsewhere lines. NO_COLOR and TERM=dumb are respected.

Exit codes:
  0  every step went as it should and everything ended cleanly, also after Ctrl-C
  1  something failed; the line says what

Examples:
  $ pilotfish demo
  $ pilotfish demo --once
  $ pilotfish demo --once | tee demo.txt`;

/** `pilotfish demo`: the whole thing in one terminal, without Consul. */
export const addDemo: AddCommand = (program, context) => {
  program
    .command("demo")
    .summary("show it at work, without Consul")
    .description(
      "Runs a catalog, backends, the proxy and traffic, tells a story over them, and serves on until Ctrl-C.",
    )
    .option("--once", "end by itself after the story, with a verdict")
    .addHelpText("after", HELP)
    .action(async ({ once = false }: { once?: boolean }) => {
      const { runDemo } = await import("../dev/demo.js");
      context.exitWith(await runDemo({ once }));
    });
};
