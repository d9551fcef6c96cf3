import type { BackendProcess } from "../support/backend-process.js";
import { pause } from "../support/promised.js";
import type { ShareChange, TrialPeer } from "./peers/proxy-under-trial.js";
import { Scene } from "./scene.js";

/** A way in which one backend of three goes wrong. */
export interface Fault {
  readonly id: string;
  /** For the table. */
  readonly title: string;
  /** Resolves with the moment from which it is so, in milliseconds since the Unix epoch. */
  begin(backend: BackendProcess): Promise<number>;
  end(backend: BackendProcess): Promise<number>;
}

/** How one fault went with one proxy. */
export interface FaultReport {
  /** From the fault to the moment from which the backend takes no new work, or less of it; undefined when it never came. */
  readonly detectedMs: number | undefined;
  /** From the end of the fault to the moment from which it takes its work again and keeps it. */
  readonly returnedMs: number | undefined;
  readonly requests: number;
  readonly failed: number;
  readonly p99Ms: number;
  /** Every change of the backend's share, in ms since the fault. */
  readonly course: readonly (readonly [sinceMs: number, share: number])[];
}

/** What a backend that is well takes: so much that neither proxy, nor the clients, keep a core of two busy. */
const ANSWER_MS = 10;
/** How long a fault lasts; of the one that comes and goes this is the middle of a bad time. */
const FAULT_MS = 3_400;
/** Longest wait for what should follow from it. */
const RETURN_MS = 40_000;
const FLAP_MS = 400;
/** Pause between two looks at whether the return is over. */
const LOOK_MS = 50;
/** Who was not sent away again for so long is back. */
const STEADY_MS = 1_000;
/** Before the fault: both proxies, the backends and the clients are compiled and have their connections. */
const WARM_REQUESTS = 6_000;
/** The clocks of two processes of one machine are this close, where one of them has whole milliseconds. */
const CLOCK_MS = 2;

/** The faults. Those that concern traffic alone leave the health check's answer well. */
export const FAULTS: readonly Fault[] = [
  {
    id: "refuse",
    title: "refuses connections, open ones cut",
    begin: (backend) => backend.change({ isRefusing: true }),
    end: (backend) => backend.change({ isRefusing: false }),
  },
  {
    id: "hang",
    title: "reads and never answers",
    begin: (backend) => backend.change({ mode: "hang" }),
    end: (backend) => backend.change({ mode: "serve" }),
  },
  {
    id: "reset",
    title: "resets the connection of each request",
    begin: (backend) => backend.change({ mode: "reset" }),
    end: (backend) => backend.change({ mode: "serve" }),
  },
  {
    id: "500",
    title: "answers 500, its check stays well",
    begin: (backend) => backend.change({ status: 500 }),
    end: (backend) => backend.change({ status: 200 }),
  },
  {
    id: "503",
    title: "answers 503, its check too",
    begin: (backend) => backend.change({ status: 503, healthStatus: 503 }),
    end: (backend) => backend.change({ status: 200, healthStatus: 200 }),
  },
  {
    id: "grpc-14",
    title: "answers 200 with grpc-status 14",
    begin: (backend) => backend.change({ grpcStatus: "14" }),
    end: (backend) => backend.change({ grpcStatus: "0" }),
  },
  {
    id: "slow",
    title: "takes ten times as long",
    begin: (backend) => backend.change({ delayMs: 10 * ANSWER_MS }),
    end: (backend) => backend.change({ delayMs: ANSWER_MS }),
  },
  {
    id: "flap",
    title: `refuses and serves in turn, ${FLAP_MS} ms each`,
    begin: flapping(true),
    end: flapping(false),
  },
];

/** A fault that comes and goes by itself until it is ended. */
function flapping(isBeginning: boolean): (backend: BackendProcess) => Promise<number> {
  return (backend) => {
    clearInterval(flaps.get(backend));
    if (isBeginning) {
      let isRefusing = true;
      const flap = setInterval(() => {
        isRefusing = !isRefusing;
        backend.set({ isRefusing });
      }, FLAP_MS);
      flaps.set(backend, flap);
    }
    return backend.change({ isRefusing: isBeginning });
  };
}

const flaps = new WeakMap<BackendProcess, NodeJS.Timeout>();

/**
 * Plays one fault on the first of three backends under constant keep-alive traffic of GET and POST. When the fault
 * began and ended is the backend's word, when it was noticed is the proxy's: no look from outside lies between them,
 * and all are processes of one machine. What clients met counts from the fault on, when everything is warm.
 */
export async function playFault(peer: TrialPeer, fault: Fault): Promise<FaultReport> {
  const kinds = ["keep-alive"] as const;
  const scene = await Scene.open(peer, {
    backends: ["one", "two", "three"],
    kinds,
    isWary: true,
    delayMs: ANSWER_MS,
  });
  try {
    await scene.more(WARM_REQUESTS);
    const backend = scene.backend("one");
    const changes = await scene.proxy.watch("one");
    const startMs = performance.now();
    const begunMs = await fault.begin(backend);
    await pause(FAULT_MS - (performance.now() - startMs));
    const endedMs = await fault.end(backend);
    const returnedMs = await returned(changes, endedMs);
    const { requests, failed, p99Ms } = await scene.verdict(startMs);
    const out = changes.find(({ atMs, share }) => share < 1 && atMs >= begunMs - CLOCK_MS && atMs < endedMs);
    const detectedMs = out === undefined ? undefined : Math.max(out.atMs - begunMs, 0);
    const course = changes.map(({ atMs, share }) => [atMs - begunMs, share] as const);
    return { detectedMs, returnedMs, requests, failed, p99Ms, course };
  } finally {
    await fault.end(scene.backend("one"));
    await scene.close();
  }
}

/**
 * From the end of a fault to the moment from which the backend takes all of its work and goes on to do so; undefined
 * when that does not come. What takes it at the end and keeps it is back at once.
 */
async function returned(changes: readonly ShareChange[], endedMs: number): Promise<number | undefined> {
  const startMs = performance.now();
  for (;;) {
    await pause(LOOK_MS);
    const { atMs, share } = changes.at(-1) ?? { atMs: endedMs, share: 1 };
    const steadyMs = performance.timeOrigin + performance.now() - Math.max(atMs, endedMs);
    if (share === 1 && steadyMs > STEADY_MS) return Math.max(atMs - endedMs, 0);
    if (performance.now() - startMs > RETURN_MS) return undefined;
  }
}
