import { configJsonSchema } from "../config/json-schema.js";
import type { AddCommand } from "./command.js";
import { EXIT_CODE } from "./exit-code.js";

const HELP = `
Editors that speak the YAML language server complete and explain the file with this first line in it:
  # yaml-language-server: $schema=./pilotfish.schema.json

Example:
  $ pilotfish schema > pilotfish.schema.json`;

/** `pilotfish schema`: the JSON schema of the configuration file, for editors. */
export const addSchema: AddCommand = (program, context) => {
  program
    .command("schema")
    .summary("print the JSON schema of the configuration")
    .description(
      "Prints the JSON schema (draft 7) of the configuration file: every field with its meaning and default.",
    )
    .addHelpText("after", HELP)
    .action(() => {
      context.terminal.print(JSON.stringify(configJsonSchema(), undefined, 2));
      context.exitWith(EXIT_CODE.ok);
    });
};
