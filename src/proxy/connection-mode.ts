import { checkHandles } from "./handle-check.js";

/** What connections are made of: the runtime's stream handles, or its documented sockets. */
export type ConnectionMode = "handle" | "socket";

let chosen: ConnectionMode | undefined;
let choosing: Promise<ConnectionMode> | undefined;

/** Tries once whether this runtime's handles are what we know, and chooses for the whole process. */
export function chooseConnectionMode(): Promise<ConnectionMode> {
  choosing ??= checkHandles().then((works) => {
    chosen = works ? "handle" : "socket";
    return chosen;
  });
  return choosing;
}

/** What was chosen; sockets before. */
export function connectionMode(): ConnectionMode {
  return chosen ?? "socket";
}
