/**
 * Loaded before the program of a child process: should the parent vanish without a word, the channel between
 * them breaks, and the child ends as on SIGTERM instead of serving on for nobody.
 */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
// The channel alone is no reason to live.
process.channel?.unref();
