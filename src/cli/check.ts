import { loadConfig } from "../config/load.js";
import type { Config } from "../config/model.js";
import type { AddCommand } from "./command.js";
import { countOf } from "./count.js";
import { EXIT_CODE } from "./exit-code.js";
import { complainOf, warnOf } from "./problems.js";
import type { Terminal } from "./terminal.js";

const HELP = `
Every problem is told at once, on standard error:
  pilotfish.yaml:12:14 pools[0].balance: found "leastcon", expected leastconn, roundrobin, random, first, consistent-hash, maglev or ewma; did you mean leastconn?

Nothing is started or contacted. \${NAME} and CONSUL_... take from the environment as in run.

Exit codes:
  0  the file is good (there may be warnings)
  2  it is not

Examples:
  $ pilotfish check -c pilotfish.yaml
  $ pilotfish check -c pilotfish.yaml && systemctl restart pilotfish`;

/** `pilotfish check`: says whether a configuration is good, and everything that is wrong when not. */
export const addCheck: AddCommand = (program, context) => {
  program
    .command("check")
    .summary("check a configuration file")
    .description("Checks a configuration file and tells every problem at once.")
    .requiredOption("-c, --config <file>", "the configuration, YAML")
    .addHelpText("after", HELP)
    .action(async ({ config }: { config: string }) =>
      context.exitWith(await check(config, context.terminal)),
    );
};

/** Checks the file. Answers the exit code. */
export async function check(file: string, terminal: Terminal): Promise<number> {
  const result = await loadConfig(file, { env: terminal.env });
  if (!result.ok) {
    complainOf(result.problems, file, terminal);
    return EXIT_CODE.usage;
  }
  warnOf(result, terminal);
  terminal.print(`${file}: good, ${summarize(result.config)}`);
  return EXIT_CODE.ok;
}

function summarize({ listeners, pools }: Config): string {
  const addresses = listeners.reduce((sum, listener) => sum + listener.bind.length, 0);
  const routes = listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  return [
    `${countOf(listeners.length, "listener")} on ${countOf(addresses, "address")}`,
    countOf(routes, "route"),
    countOf(pools.length, "pool"),
  ].join(", ");
}
