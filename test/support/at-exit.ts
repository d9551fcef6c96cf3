const callbacks = new Set<() => void>();

process.on("exit", () => {
  for (const callback of callbacks) callback();
});

/** Calls back when this process ends, so that its children end with it. Answers how to forget that. */
export function atExit(callback: () => void): () => void {
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}
