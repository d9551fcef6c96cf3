import type { ListedBackend } from "./admin-answers.js";
import type { Chronicle } from "./chronicle.js";
import { SERVICE, type Stage } from "./stage.js";
import type { Tone } from "./styled-text.js";
import type { BackendRow, DemoPicture } from "./view.js";
import { sayCount, sayFailures, sayMs } from "./wording.js";

/** Where the parts of the demo are, for people. */
export interface Place {
  readonly name: string;
  readonly text: string;
  readonly tone: Tone;
}

/** The demo as it is now. */
export function takePicture(stage: Stage, chronicle: Chronicle, status: string): DemoPicture {
  const shared = {
    title: `pilotfish demo   ${clock(chronicle.elapsedMs)}`,
    status,
    story: chronicle.entries,
  };
  if (!stage.isRunning) {
    return { ...shared, isRunning: false, places: [], backends: [], traffic: "", failures: "", commands: [] };
  }
  return {
    ...shared,
    isRunning: true,
    places: places(stage),
    backends: stage.watch.picture.backends.map((each) => backendRow(each, stage)),
    traffic: trafficLine(stage),
    failures: sayFailures(stage.traffic.counts().reasons),
    commands: commandsToTry(stage),
  };
}

/** Addresses, and how fresh the list is. */
export function places(stage: Stage): Place[] {
  const { addresses, sidecar, catalog } = stage;
  const { source } = stage.watch.picture;
  const age = Number.parseFloat(source?.age ?? "0") * 1_000;
  const isLive = source?.state === "SOURCE_STATE_LIVE";
  const freshness = isLive ? "list live" : `stale, list ${sayMs(age)} old: ${source?.reason ?? ""}`;
  return [
    { name: "catalog", text: `${catalog.url}   ${freshness}`, tone: isLive ? "plain" : "warn" },
    {
      name: "sidecar",
      text: `http://${addresses.front}   config ${sidecar.configFile}`,
      tone: "plain",
    },
    {
      name: "admin",
      text: `gRPC ${addresses.grpc}   metrics http://${addresses.http}/metrics   pid ${sidecar.pid}`,
      tone: "plain",
    },
  ];
}

/** Commands for another terminal, the most telling first. Lines are for a terminal of 80 columns. */
export function commandsToTry(stage: Stage): string[][] {
  const { front, grpc, http } = stage.addresses;
  const call = `grpcurl -plaintext`;
  const admin = "pilotfish.admin.v1.Admin";
  return [
    [`curl http://${front}/hello`],
    [`${call} ${grpc} ${admin}/ListBackends`],
    [`${call} -d '{"backend":"web1","weight":4}' ${grpc} \\`, `  ${admin}/SetWeight`],
    [`${call} -d '{"backend":"web2"}' ${grpc} ${admin}/DrainBackend`],
    [`${call} -d '{"backend":"web2","state":"ADMIN_STATE_READY"}' \\`, `  ${grpc} ${admin}/SetState`],
    [`curl '${stage.catalog.url}/v1/health/service/${SERVICE}?passing'`],
    [`curl http://${http}/metrics`],
  ];
}

function trafficLine(stage: Stage): string {
  const { traffic } = stage;
  const [median, high] = [traffic.latencyMs(0.5) ?? 0, traffic.latencyMs(0.99) ?? 0];
  return (
    `${Math.round(traffic.perSecond())} req/s, median ${sayMs(median)}, p99 ${sayMs(high)}, ` +
    `${sayCount(traffic.counts().requests, "request")}`
  );
}

function backendRow(backend: ListedBackend, stage: Stage): BackendRow {
  const { picture } = stage.watch;
  const counters = picture.counters.get(backend.backend);
  const { state, tone } = stateOf(backend);
  return {
    id: backend.id,
    address: backend.address,
    state,
    tone,
    weight: backend.weight.inForce,
    inFlight: backend.inFlight,
    perSecond: picture.perSecond.get(backend.backend) ?? 0,
    errors:
      counters === undefined
        ? 0
        : counters.serverError + counters.connectFailure + counters.timeout + counters.reset,
    latencyMs: stage.traffic.latencyMs(0.5, backend.id),
  };
}

/** The fact that weighs most, in a word or two. */
function stateOf({ discovery, admin, detection, check, weight }: ListedBackend): {
  state: string;
  tone: Tone;
} {
  if (discovery.state === "DISCOVERY_STATE_GONE") return { state: "leaving", tone: "dim" };
  if (discovery.state === "DISCOVERY_STATE_REFUSED")
    return { state: word(discovery.status, "DISCOVERY_STATUS_"), tone: "bad" };
  if (admin.state !== "ADMIN_STATE_READY") return { state: word(admin.state, "ADMIN_STATE_"), tone: "warn" };
  if (detection.state === "DETECTION_STATE_EJECTED") {
    const leftMs = Math.max(0, Date.parse(detection.until ?? "") - Date.now());
    return { state: `ejected, ${(leftMs / 1_000).toFixed(1)} s`, tone: "bad" };
  }
  if (check.state === "CHECK_STATE_DOWN") return { state: "check failed", tone: "bad" };
  return weight.inForce === 0 ? { state: "weight 0", tone: "warn" } : { state: "ready", tone: "good" };
}

function word(value: string, prefix: string): string {
  return value.slice(prefix.length).toLowerCase();
}

function clock(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
