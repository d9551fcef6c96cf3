/** Calls back once when what is ready to be read was read, before the process waits again. */
export function atTurnEnd(callback: () => void): void {
  setImmediate(callback);
}
