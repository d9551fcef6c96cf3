import { Command, CommanderError } from "commander";
import { addCheck } from "./check.js";
import type { AddCommand } from "./command.js";
import { addDemo } from "./demo.js";
import { EXIT_CODE } from "./exit-code.js";
import { describeFailure } from "./failure.js";
import { addRegistry } from "./registry.js";
import { addRun } from "./run.js";
import { addSchema } from "./schema.js";
import type { Terminal } from "./terminal.js";

/** THE list of commands, in the order of the help. A new command is one new file and one line here. */
const COMMANDS: readonly AddCommand[] = [addRun, addCheck, addSchema, addDemo, addRegistry];

const HELP = `
Exit codes:
  0  done; for run: stopped by a signal and drained
  1  could not start, failed, or was ended by a second signal
  2  the command line or the configuration is wrong

Examples:
  $ pilotfish check -c pilotfish.yaml     every problem at once
  $ pilotfish run -c pilotfish.yaml       the proxy
  $ pilotfish demo                        see it at work, nothing else needed

"pilotfish help <command>" tells more of each.`;

/** Runs one command line (without node and script). Answers the exit code; never rejects. */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<number> {
  let exitCode: number = EXIT_CODE.ok;
  const program = new Command("pilotfish")
    .description(
      "A sidecar proxy that watches Consul, keeps a live pool of backends for every service its neighbour " +
        "calls, balances requests and connections over them, and ejects the ones that misbehave.",
    )
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .showSuggestionAfterError()
    .showHelpAfterError('"pilotfish help <command>" lists what a command takes.')
    .configureOutput({
      writeOut: (text) => terminal.print(text.replace(/\n$/, "")),
      writeErr: (text) => terminal.complain(text.replace(/\n$/, "")),
      outputError: (text, write) => write(text.replace(/^error: /, "pilotfish: ")),
    })
    .exitOverride()
    .addHelpText("after", HELP);
  const context = {
    terminal,
    version,
    exitWith: (code: number) => {
      exitCode = code;
    },
  };
  for (const add of COMMANDS) add(program, context);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed its own message. Help and version end with 0, everything else is a usage error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODE.ok : EXIT_CODE.usage;
    terminal.complain(`pilotfish: ${describeFailure(error)}`);
    return EXIT_CODE.failure;
  }
}
