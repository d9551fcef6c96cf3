/**
 * Runs the cases over a copy of the engine, again each time its parent names files that changed. A process of its
 * own, so that cases in an endless loop can be ended; it lives on from run to run, as loading costs more than most
 * runs. Started by mutate.mjs in the copy.
 *
 * Answers `{ case }` for each case that ended, and `{ killer }` for a run: the case that failed, or none.
 */
import { join } from "node:path";
import { BaseSequencer, createVitest } from "vitest/node";

const root = process.cwd();

/** The raw cases first, as they are quick and kill most; the rest is what one request and its answer cannot show. */
const SUITES = [
  ...["conformance/http1/requests", "conformance/http1/responses"],
  ...["unit/proxy/http1/downstream", "unit/proxy/http1/syntax", "unit/proxy/http1/upstream"],
  ...["unit/proxy/http1/rest-time", "unit/proxy/headers", "unit/proxy/replay-body"],
  ...[
    "backends",
    "own-answers",
    "upgrade",
    "connect",
    "connections",
    "retries",
    "desync",
    "bodies",
    "isolation",
  ].map((name) => `conformance/http1/${name}`),
  "conformance/http1/splits",
].map((name) => join(root, "test", `${name}.test.ts`));

class InOrder extends BaseSequencer {
  async sort(specifications) {
    const place = ({ moduleId }) => SUITES.indexOf(moduleId);
    return [...specifications].sort((one, other) => place(one) - place(other));
  }
}

const vitest = await createVitest("test", {
  root,
  config: join(root, "test/vitest.config.ts"),
  watch: false,
  bail: 1,
  retry: 0,
  isolate: false,
  maxWorkers: 1,
  testTimeout: 6000,
  // Those that prove the two kinds of connection, and not the engine, or that take long to show that nothing comes.
  testNamePattern:
    "^(?!.*over a socket)(?!.*hold the client)(?!.*holds the backend)(?!.*no more responses than fit)",
  reporters: [{ onTestCaseResult: () => process.send({ case: true }) }],
  sequence: { sequencer: InOrder },
});
await vitest.standalone();
const specifications = (await vitest.globTestSpecifications()).filter(({ moduleId }) =>
  SUITES.includes(moduleId),
);
if (specifications.length !== SUITES.length) throw new Error("a suite is missing");

/** What failed first, in words; undefined when everything passed. */
function killerOf({ testModules, unhandledErrors }) {
  for (const module of testModules) {
    for (const test of module.children.allTests("failed")) {
      return `${test.fullName}: ${test.result().errors[0]?.message.split("\n")[0]}`;
    }
    const [error] = module.errors();
    if (error !== undefined) return `${module.relativeModuleId}: ${error.message.split("\n")[0]}`;
  }
  return unhandledErrors[0]?.message ?? (testModules.every((module) => module.ok()) ? undefined : "a suite");
}

process.on("message", async ({ files }) => {
  for (const file of files) if (file !== null) vitest.invalidateFile(file);
  process.send({ killer: killerOf(await vitest.runTestSpecifications(specifications, true)), isOver: true });
});
process.send({ isReady: true });
