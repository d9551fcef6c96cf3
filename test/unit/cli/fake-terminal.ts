import { EventEmitter } from "node:events";
import type { Terminal } from "../../../src/cli/terminal.js";

/** A terminal that remembers what was written and lets a test send signals. */
export interface FakeTerminal extends Terminal {
  readonly printed: string[];
  readonly complaints: string[];
}

export function createFakeTerminal(env: Readonly<Record<string, string | undefined>> = {}): FakeTerminal {
  const printed: string[] = [];
  const complaints: string[] = [];
  return {
    printed,
    complaints,
    env,
    signals: new EventEmitter(),
    print: (text) => void printed.push(text),
    complain: (text) => void complaints.push(text),
  };
}
