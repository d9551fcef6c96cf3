import type { AdminAnswers } from "./admin-answers.js";
import { type Chronicle, type Finding, Interrupted } from "./chronicle.js";
import { pause } from "./deadline.js";
import { EJECTION_MS } from "./sidecar-config.js";
import type { SeenEvent } from "./sidecar-watch.js";
import type { Stage } from "./stage.js";
import type { TrafficCounts } from "./traffic.js";
import { sayCount, sayFailures, sayMs } from "./wording.js";

/** Where the story takes place, and what ends it early. */
export interface StoryContext {
  readonly stage: Stage;
  readonly chronicle: Chronicle;
  readonly signal: AbortSignal;
}

/** How long a change may take to be seen. All of them take milliseconds on an idle machine. */
const SOON_MS = 10_000;
/** How long traffic is watched before it is judged. */
const WATCH_MS = 2_500;
const BREATH_MS = 1_200;
/** What may be open on a backend when it starts to fail, beyond the failures that eject it. */
const MOST_FAILURES_SEEN = 40;

/**
 * Tells the story. Each step acts and then judges by what the admin API and the client's own counts say; nothing is
 * taken for granted.
 * @throws Interrupted
 */
export async function tellStory(context: StoryContext): Promise<void> {
  const { stage, chronicle, signal } = context;
  const isSet =
    (await chronicle.step("three backends register in the catalog", () => registerThree(stage))) &&
    (await chronicle.step("the sidecar starts", () => startSidecar(stage)));
  if (!isSet) throw new Interrupted("nothing to tell of");
  stage.startTraffic();
  await chronicle.step("traffic flows", () => watchTraffic(context));
  await chronicle.step("web2 answers 500 from now on", () => failAndEject(context));
  await chronicle.step("web2 is mended and waits for the end of its ejection", () => returnToWork(context));
  await pause(BREATH_MS, signal);
  await chronicle.step("DrainBackend web3, over gRPC", () => drain(context));
  await pause(BREATH_MS, signal);
  await chronicle.step("web3 leaves the catalog and ends", () => leave(context));
  await pause(BREATH_MS, signal);
  await chronicle.step("web4 starts and registers", () => join(context));
  await pause(BREATH_MS, signal);
  await chronicle.step("the catalog goes away", () => loseCatalog(context));
  await chronicle.step("the catalog comes back and has forgotten everything", () => regainCatalog(context));
  await pause(BREATH_MS, signal);
  await chronicle.step("looking back", () => lookBack(stage));
}

async function registerThree(stage: Stage): Promise<Finding> {
  await stage.startCatalog();
  const startedMs = performance.now();
  await Promise.all(["web1", "web2", "web3"].map((id) => stage.startBackend(id)));
  return {
    ok: true,
    text: `web1, web2, web3 started and in the catalog after ${sayMs(performance.now() - startedMs)}`,
  };
}

async function startSidecar(stage: Stage): Promise<Finding> {
  const startedMs = performance.now();
  await stage.startSidecar();
  const readyMs = performance.now() - startedMs;
  const { backends } = await stage.watch.refresh();
  const usable = backends.filter(({ eligible }) => eligible).length;
  return {
    ok: usable === 3,
    text: `sidecar ready ${sayMs(readyMs)} after its start, ${usable} of 3 backends take work`,
  };
}

async function watchTraffic({ stage, signal }: StoryContext): Promise<Finding> {
  const before = stage.traffic.counts();
  await pause(WATCH_MS, signal);
  const { requests, answered, reasons, failed } = stage.traffic.since(before);
  const share = (id: string): number => Math.round((100 * (answered[id] ?? 0)) / Math.max(requests, 1));
  const [fast1, fast2, slow] = [share("web1"), share("web2"), share("web3")];
  return {
    ok: failed === 0 && slow > 0 && slow < fast1 && slow < fast2,
    text: `${sayCount(requests, "request")}: web1 ${fast1}%, web2 ${fast2}%, web3 (slower) ${slow}%; ${sayFailures(reasons)}`,
  };
}

async function failAndEject({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const mark = watch.eventMark;
  let firstFailureMs: number | undefined;
  traffic.onFailure((_, wallMs) => {
    firstFailureMs ??= wallMs;
  });
  stage.backend("web2").answerWith(500);
  const ejected = await watch.until(
    () => findDetection(stage, mark, "web2", "ejected"),
    SOON_MS,
    "ejection",
    signal,
  );
  // What was on its way to web2 when it was ejected still ends.
  await pause(500, signal);
  traffic.onFailure(undefined);
  const settled = traffic.counts();
  await pause(1_000, signal);
  const late = traffic.since(settled);
  const { failed, reasons } = traffic.since(before);
  const tookMs = Math.max(0, ejected.wallMs - (firstFailureMs ?? ejected.wallMs));
  const onlyFrom = Object.keys(reasons).every((reason) => reason === "500 from web2");
  const rest =
    onlyFrom && late.failed === 0 ? "none since" : `${sayFailures(reasons)}, ${late.failed} of them late`;
  return {
    ok: failed > 0 && failed <= MOST_FAILURES_SEEN && onlyFrom && late.failed === 0,
    text: `web2 ejected after ${sayCount(failed, "failure")} in ${sayMs(tookMs)} (${causeOf(ejected)}); ${rest}`,
  };
}

async function returnToWork({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const ejected = findDetection(stage, 0, "web2", "ejected");
  stage.backend("web2").answerWith(200);
  const returned = await watch.until(
    () => findDetection(stage, 0, "web2", "active"),
    EJECTION_MS + SOON_MS,
    "return",
    signal,
  );
  const servedThen = watch.countersOf("web2")?.served ?? 0;
  await pause(1_500, signal);
  await watch.refresh();
  const served = (watch.countersOf("web2")?.served ?? 0) - servedThen;
  const { failed, reasons } = traffic.since(before);
  const outMs = returned.wallMs - (ejected?.wallMs ?? returned.wallMs);
  return {
    ok: served > 0 && failed === 0 && outMs >= EJECTION_MS - 50 && outMs < EJECTION_MS + 3_000,
    text: `web2 back after ${sayMs(outMs)} out, took ${sayCount(served, "request")} since; ${sayFailures(reasons)}`,
  };
}

async function drain({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const open: number[] = [];
  let progress = "";
  const startedMs = performance.now();
  const request = { pool: "", backend: "web3", deadline: "8s", owner: "demo", reason: "to show a drain" };
  const stream = watch.client.stream<AdminAnswers["DrainBackend"]>("DrainBackend", request, (answer) => {
    open.push(answer.inFlight);
    progress = answer.progress;
  });
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  await stream.ended;
  signal.removeEventListener("abort", cancel);
  const tookMs = performance.now() - startedMs;
  await watch.refresh();
  const servedThen = watch.countersOf("web3")?.served ?? 0;
  await pause(1_500, signal);
  await watch.refresh();
  const more = (watch.countersOf("web3")?.served ?? 0) - servedThen;
  const { failed, reasons } = traffic.since(before);
  return {
    ok: progress === "DRAIN_PROGRESS_EMPTY" && more === 0 && failed === 0,
    text: `web3 drained: ${open[0] ?? 0} in flight, ${open.at(-1) ?? 0} after ${sayMs(tookMs)}, ${more} taken since; ${sayFailures(reasons)}`,
  };
}

async function leave({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const mark = watch.eventMark;
  const askedMs = Date.now();
  await stage.backend("web3").leave();
  const gone = await watch.until(
    () => watch.eventsSince(mark).find((event) => event.id === "web3" && event.backendRemoved !== undefined),
    SOON_MS,
    "removal of web3",
    signal,
  );
  await stage.stopBackend("web3");
  await pause(1_000, signal);
  const { backends } = await watch.refresh();
  const { failed, reasons } = traffic.since(before);
  return {
    ok: backends.length === 2 && failed === 0,
    text: `web3 left: out of the pool after ${sayMs(Math.max(0, gone.wallMs - askedMs))}, process ended; ${sayFailures(reasons)}`,
  };
}

async function join({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const backend = await stage.startBackend("web4");
  const firstMs = await watch.until(
    () => backend.firstRequestAfterMs,
    SOON_MS,
    "first request of web4",
    signal,
  );
  await pause(1_000, signal);
  await watch.refresh();
  const served = watch.countersOf("web4")?.served ?? 0;
  const { failed, reasons } = traffic.since(before);
  return {
    ok: watch.backend("web4")?.eligible === true && served > 0 && failed === 0,
    text: `web4 took its first request ${sayMs(firstMs)} after it registered; ${sayFailures(reasons)}`,
  };
}

async function loseCatalog({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const startedMs = performance.now();
  await stage.catalog.stop();
  await watch.until(
    () => (watch.picture.source?.state === "SOURCE_STATE_STALE" ? true : undefined),
    SOON_MS,
    "notice that the catalog is away",
    signal,
  );
  await pause(WATCH_MS, signal);
  const { backends, source } = await watch.refresh();
  const usable = backends.filter(({ eligible }) => eligible).length;
  const { requests, failed, reasons } = traffic.since(before);
  const awayMs = performance.now() - startedMs;
  return {
    ok: usable === 3 && failed === 0 && requests > 0 && source?.state === "SOURCE_STATE_STALE",
    text: `catalog away ${sayMs(awayMs)}, last good list kept: ${sayCount(requests, "request")}, ${sayFailures(reasons)}`,
  };
}

async function regainCatalog({ stage, signal }: StoryContext): Promise<Finding> {
  const { watch, traffic } = stage;
  const before = traffic.counts();
  const startedMs = performance.now();
  await stage.catalog.restart();
  let fewest = watch.picture.backends.length;
  await watch.until(
    () => {
      const { backends, source } = watch.picture;
      const usable = backends.filter(({ eligible }) => eligible).length;
      fewest = Math.min(fewest, usable);
      return source?.state === "SOURCE_STATE_LIVE" && source.endpoints === 3 && usable === 3
        ? true
        : undefined;
    },
    SOON_MS * 2,
    "three backends from the catalog that came back",
    signal,
  );
  const tookMs = performance.now() - startedMs;
  await pause(1_000, signal);
  const { failed, reasons } = traffic.since(before);
  return {
    ok: fewest > 0 && failed === 0,
    text: `all 3 registered again, list live after ${sayMs(tookMs)}; ${sayFailures(reasons)}`,
  };
}

async function lookBack(stage: Stage): Promise<Finding> {
  const info = await stage.watch.client.call<AdminAnswers["GetInfo"]>("GetInfo");
  const { requests, reasons }: TrafficCounts = stage.traffic.counts();
  const isClean = Object.keys(reasons).every((reason) => reason === "500 from web2");
  return {
    ok: isClean && info.invariantsBroken === 0 && info.state === "PROXY_STATE_READY",
    text: `${sayCount(requests, "request")} in all, failed: ${sayFailures(reasons)}`,
  };
}

/** The last change of what detection says of a backend, since the mark. */
function findDetection(stage: Stage, mark: number, id: string, to: string): SeenEvent | undefined {
  return stage.watch
    .eventsSince(mark)
    .findLast(
      (event) =>
        event.id === id && event.stateChanged?.fact === "FACT_DETECTION" && event.stateChanged.to === to,
    );
}

function causeOf(event: SeenEvent): string {
  return event.stateChanged?.why ?? "";
}
