#!/usr/bin/env node
import { runCommandLine } from "./program.js";
import { processTerminal } from "./terminal.js";
import { readVersion } from "./version.js";

const exitCode = await runCommandLine(process.argv.slice(2), processTerminal(), readVersion());
// Whatever is still open belongs to a command that has ended: it must not hold the process.
process.exit(exitCode);
