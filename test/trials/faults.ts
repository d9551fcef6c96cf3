import type { BackendProcess } from "../support/backend-process.js";
import { pause } from "../support/promised.js";
import type { TrialPeer } from "./peers/proxy-under-trial.js";
import { Scene } from "./scene.js";

/** A way in which one backend of three goes wrong. */
export interface Fault {
  readonly id: string;
  /** For the table. */
  readonly title: string;
  begin(backend: BackendProcess): void;
  end(backend: BackendProcess): void;
}

/** How one fault went with one proxy. */
export interface FaultReport {
  /** From the fault to the moment from which the backend takes no new work, or less of it; undefined when it never came. */
  readonly detectedMs: number | undefined;
  /** From the end of the fault to the moment from which it takes its work again. */
  readonly returnedMs: number | undefined;
  readonly requests: number;
  readonly failed: number;
  readonly p99Ms: number;
}

/** How long a fault lasts. */
const FAULT_MS = 5_000;
/** Longest wait for what should follow from it. */
const RETURN_MS = 40_000;
const FLAP_MS = 400;
/** Pause between two looks at what the proxy makes of it. */
const LOOK_MS = 2;

/** The faults. Those that concern traffic alone leave the health check's answer well. */
export const FAULTS: readonly Fault[] = [
  {
    id: "refuse",
    title: "refuses connections, open ones cut",
    begin: (backend) => backend.set({ isRefusing: true }),
    end: (backend) => backend.set({ isRefusing: false }),
  },
  {
    id: "hang",
    title: "reads and never answers",
    begin: (backend) => backend.set({ mode: "hang" }),
    end: (backend) => backend.set({ mode: "serve" }),
  },
  {
    id: "reset",
    title: "resets the connection of each request",
    begin: (backend) => backend.set({ mode: "reset" }),
    end: (backend) => backend.set({ mode: "serve" }),
  },
  {
    id: "500",
    title: "answers 500, its check stays well",
    begin: (backend) => backend.set({ status: 500 }),
    end: (backend) => backend.set({ status: 200 }),
  },
  {
    id: "503",
    title: "answers 503, its check too",
    begin: (backend) => backend.set({ status: 503, healthStatus: 503 }),
    end: (backend) => backend.set({ status: 200, healthStatus: 200 }),
  },
  {
    id: "grpc-14",
    title: "answers 200 with grpc-status 14",
    begin: (backend) => backend.set({ grpcStatus: "14" }),
    end: (backend) => backend.set({ grpcStatus: undefined }),
  },
  {
    id: "slow",
    title: "takes ten times as long",
    begin: (backend) => backend.set({ delayMs: 40 }),
    end: (backend) => backend.set({ delayMs: 4 }),
  },
  {
    id: "flap",
    title: `refuses and serves in turn, ${FLAP_MS} ms each`,
    begin: flapping(true),
    end: flapping(false),
  },
];

/** A fault that comes and goes by itself until it is ended. */
function flapping(isBeginning: boolean): (backend: BackendProcess) => void {
  return (backend) => {
    clearInterval(flaps.get(backend));
    backend.set({ isRefusing: isBeginning });
    if (!isBeginning) return;
    let isRefusing = true;
    const flap = setInterval(() => {
      isRefusing = !isRefusing;
      backend.set({ isRefusing });
    }, FLAP_MS);
    flaps.set(backend, flap);
  };
}

const flaps = new WeakMap<BackendProcess, NodeJS.Timeout>();

/** Plays one fault on the first of three backends under constant keep-alive traffic of GET and POST. */
export async function playFault(peer: TrialPeer, fault: Fault): Promise<FaultReport> {
  const kinds = ["keep-alive"] as const;
  const scene = await Scene.open(peer, { backends: ["one", "two", "three"], kinds, isWary: true });
  try {
    await scene.more(500);
    const backend = scene.backend("one");
    const startMs = performance.now();
    fault.begin(backend);
    const detectedMs = await soon(() => isOut(scene), FAULT_MS);
    await pause(FAULT_MS - (performance.now() - startMs));
    fault.end(backend);
    const returnedMs = await soon(() => isBack(scene), RETURN_MS);
    await scene.more(500);
    const { requests, failed, p99Ms } = await scene.verdict();
    return { detectedMs, returnedMs, requests, failed, p99Ms };
  } finally {
    fault.end(scene.backend("one"));
    await scene.close();
  }
}

/**
 * How long it took in ms; undefined when it did not come. Asking takes longer with one proxy than with the other, so what
 * counts is the middle between question and answer.
 */
async function soon(holds: () => Promise<boolean>, withinMs: number): Promise<number | undefined> {
  const startMs = performance.now();
  for (;;) {
    const askedMs = performance.now();
    const isSo = await holds();
    const answeredMs = performance.now();
    if (isSo) return (askedMs + answeredMs) / 2 - startMs;
    if (answeredMs - startMs > withinMs) return undefined;
    await pause(LOOK_MS);
  }
}

async function isOut(scene: Scene): Promise<boolean> {
  return (await scene.proxy.share("one")) < 1;
}

async function isBack(scene: Scene): Promise<boolean> {
  return (await scene.proxy.share("one")) === 1;
}
