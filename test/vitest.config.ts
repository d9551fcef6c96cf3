import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: "forks",
    // Real sockets and processes on a busy machine: a case that fails thrice in a row is broken, once is weather.
    retry: process.env.CI === undefined ? 0 : 2,
  },
});
