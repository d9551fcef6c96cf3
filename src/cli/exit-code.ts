/** What the exit status of the program means. Scripts rely on these numbers. */
export const EXIT_CODE = {
  /** It did what was asked; for `run`, it was told to stop and drained. */
  ok: 0,
  /** It could not start, failed while running, or was ended by a second signal. */
  failure: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
} as const;
