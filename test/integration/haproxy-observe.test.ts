import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { expect, it } from "vitest";
import { CheckStarts } from "../../src/control/check-starts.js";
import { HealthWatches } from "../../src/control/health-watch.js";
import { ProbeSlots } from "../../src/control/probe-slots.js";
import { Prober } from "../../src/control/prober.js";
import { HttpProbe } from "../../src/control/probes/http.js";
import { systemClock } from "../../src/platform/clock.js";
import { HaproxyChild, hasHaproxy } from "../support/haproxy-child.js";
import { startHttpProxy } from "../support/http-proxy.js";
import { until } from "../support/promised.js";
import { only, RHYTHM, TARGET } from "../unit/control/check-scene.js";

const FALL = 3;
const RISE = 2;
const ERROR_LIMIT = 3;
const SOON_MS = 20_000;
/** Longer than any step takes, so that no check fails but by the script. */
const TIMEOUT_MS = 60_000;
/** What a backend that hangs is given. */
const SERVER_MS = 1_000;
/** Nothing but traffic brings the next check while all is well. */
const INTER_MS = 3_600_000;
const FAST_MS = 50;

type Layer = "layer4" | "layer7";
type OnError = "fastinter" | "fail-check" | "sudden-death" | "mark-down";

/** What the backend makes of a request; a refused connection is `x`. */
const ANSWERS: Readonly<Record<string, string>> = {
  "2": "HTTP/1.1 200 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  "4": "HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  "5": "HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  "3": "HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  i: "HTTP/1.1 501 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  v: "HTTP/1.1 505 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  /** No HTTP. */
  j: "what?\r\n\r\n",
  /** Closed without an answer. */
  e: "",
  /** Closed within the body. */
  t: "HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf.",
};

/** A proxy with one backend that is checked. */
interface Side {
  /** Where its listener is. */
  readonly front: { readonly socketPath: string } | { readonly port: number };
  /** As HAProxy shows it. */
  state(): Promise<string>;
  /** Whether a check is under way. */
  isChecking(): Promise<boolean>;
  end(): unknown;
}

/** A server of the test on a port that stays, whether it listens or not. */
class Ported {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  port = 0;

  constructor(onSocket: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      socket.on("error", () => {});
      this.#open.add(socket);
      socket.once("close", () => this.#open.delete(socket));
      onSocket(socket);
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A backend that does with requests what it is told, and holds each check until it is told the answer. */
class ScriptedBackend {
  /** Checks that came so far. */
  checks = 0;
  #held: Socket | undefined;
  #step = "";
  readonly #traffic = new Ported((socket) => {
    if (this.#step !== "h") socket.once("data", () => socket.end(ANSWERS[this.#step] ?? "", "latin1"));
  });
  readonly #checker = new Ported((socket) =>
    socket.once("data", () => {
      this.checks++;
      this.#held = socket;
    }),
  );

  async start(): Promise<Ports> {
    await this.#traffic.listen();
    await this.#checker.listen();
    return { port: this.#traffic.port, checkPort: this.#checker.port };
  }

  async stop(): Promise<void> {
    await this.#traffic.close();
    await this.#checker.close();
  }

  get isChecked(): boolean {
    return this.#held !== undefined;
  }

  /** Answers the check that is under way or comes next. */
  async answer(passes: boolean): Promise<void> {
    await until(() => this.isChecked, SOON_MS, "a check");
    const socket = this.#held;
    this.#held = undefined;
    socket?.end(`HTTP/1.1 ${passes ? 200 : 500} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
  }

  /** Answers the client's status; 0 where nothing whole came. */
  async request(step: string, front: Side["front"]): Promise<number> {
    this.#step = step;
    if (step === "x") await this.#traffic.close();
    const status = await get(front);
    if (step === "x") await this.#traffic.listen();
    return status;
  }
}

function get(front: Side["front"]): Promise<number> {
  return new Promise((resolve) => {
    const sent = request({ ...front, host: "127.0.0.1", path: "/", agent: false }, (answer) => {
      answer.resume();
      answer.on("error", () => {});
      answer.once("close", () => resolve(answer.complete ? (answer.statusCode ?? 0) : 0));
    });
    sent.once("error", () => resolve(0));
    sent.end();
  });
}

interface Ports {
  readonly port: number;
  readonly checkPort: number;
}

type Begin = (ports: Ports) => Promise<Side>;

/** One side with its backend, whose first check has passed. */
async function open(begin: Begin): Promise<{ backend: ScriptedBackend; side: Side; close(): Promise<void> }> {
  const backend = new ScriptedBackend();
  const side = await begin(await backend.start());
  const close = async (): Promise<void> => {
    await side.end();
    await backend.stop();
  };
  await answer(backend, side, true);
  return { backend, side, close };
}

/** Answers a check and waits until it has had its effect; the next one may be under way by then. */
async function answer(backend: ScriptedBackend, side: Side, passes: boolean): Promise<void> {
  await backend.answer(passes);
  await until(async () => backend.isChecked || !(await side.isChecking()), SOON_MS, "the end of a check");
}

/**
 * Plays a script: `R` passes as many checks as it takes to be up with all credit, `-` fails one, all else is a request.
 * Traffic never reaches the limit while a check may be under way.
 */
async function play(script: string, begin: Begin): Promise<readonly string[]> {
  const { backend, side, close } = await open(begin);
  const seen: string[] = [];
  try {
    for (const step of script) {
      let count = 0;
      if (step === "R") {
        do await answer(backend, side, true);
        while ((await side.state()) !== "UP");
        count = backend.checks;
      } else if (step === "-") {
        await answer(backend, side, false);
      } else {
        count = await backend.request(step, side.front);
      }
      seen.push(`${step} ${count} ${await side.state()}`);
    }
    return seen;
  } finally {
    await close();
  }
}

function haproxy(layer: Layer, onError: OnError): Begin {
  return async ({ port, checkPort }) => {
    const child = await HaproxyChild.start([
      `timeout check ${TIMEOUT_MS}`,
      `timeout server ${SERVER_MS}`,
      "retries 0",
      "option httpchk GET /status",
      `server a 127.0.0.1:${port} check port ${checkPort} inter ${INTER_MS} fastinter ${FAST_MS} downinter ${FAST_MS} fall ${FALL} rise ${RISE} observe ${layer} error-limit ${ERROR_LIMIT} on-error ${onError}`,
    ]);
    const column = async (number: number): Promise<string> => {
      const csv = await child.ask("show stat web 4 -1");
      return /^web,a,.*$/m.exec(csv)?.[0].split(",")[number] ?? "";
    };
    return {
      front: { socketPath: child.front },
      state: () => column(17),
      // The last check's code, behind a star while another one is under way.
      isChecking: async () => (await column(36)).startsWith("*"),
      end: () => child.stop(),
    };
  };
}

function pilotfish(layer: Layer, onError: OnError): Begin {
  return async ({ port, checkPort }) => {
    const proxy = await startHttpProxy({
      backends: [port],
      retries: { max: 0 },
      timeouts: { serverMs: SERVER_MS },
    });
    const options = {
      ...RHYTHM,
      intervalMs: INTER_MS,
      fastIntervalMs: FAST_MS,
      downIntervalMs: FAST_MS,
      fall: FALL,
      rise: RISE,
      target: { ...TARGET, port: checkPort, timeoutMs: TIMEOUT_MS },
      observe: { layer, errorLimit: ERROR_LIMIT, onError },
    };
    const slots = new ProbeSlots(1);
    const starts = new CheckStarts(systemClock);
    const probe = new HttpProbe({ method: "GET", path: "/status", host: undefined }, systemClock);
    const kind = new HealthWatches(proxy.pool, probe, options, {
      clock: systemClock,
      random: () => 0,
      slots,
      starts,
    });
    const prober = new Prober(proxy.pool, [kind]);
    prober.start();
    return {
      front: { port: proxy.port },
      state: async () => {
        await proxy.settled();
        return only(proxy.pool).reports.health?.text ?? "";
      },
      isChecking: async () => slots.held > 0,
      end: () => {
        prober.stop();
        proxy.close();
      },
    };
  };
}

const SCRIPTS: Readonly<Record<Layer, string>> = {
  layer4: [
    // In a row, broken by a connection; at the limit the count begins anew; a passed check forgets it too.
    ...["xx5xxx", "xxR", "xx2"],
    // Whatever comes over a connection is good.
    ...["xxhxxexxj553ttt2"],
    // What a check makes worse, and what brings all back.
    ...["xxx-R"],
  ].join(""),
  layer7: [
    ...["552555", "55R", "552"],
    // Good answers.
    ...["55i55v554552"],
    // Of all kinds.
    ...["553R", "ej3R", "xxxR", "xjxR", "hheR", "hexR"],
    ...["555-R"],
  ].join(""),
};

const RULES = (["layer4", "layer7"] as const).flatMap((layer) =>
  (["fastinter", "fail-check", "sudden-death", "mark-down"] as const).map((onError) => ({ layer, onError })),
);

it.skipIf(!hasHaproxy).each(RULES)(
  "the same traffic has the same effect in HAProxy and here: observe $layer, on-error $onError",
  async ({ layer, onError }) => {
    const [here, there] = await Promise.all([
      play(SCRIPTS[layer], pilotfish(layer, onError)),
      play(SCRIPTS[layer], haproxy(layer, onError)),
    ]);
    expect(here).toEqual(there);
  },
  120_000,
);

it.skipIf(!hasHaproxy)(
  "an answer that is cut short is an error here; HAProxy 2.6 judges heads alone",
  async () => {
    const script = "55tt55";
    const [here, there] = await Promise.all([
      play(script, pilotfish("layer7", "mark-down")),
      play(script, haproxy("layer7", "mark-down")),
    ]);
    expect(here).toEqual(["5 500 UP", "5 500 UP", "t 0 DOWN", "t 503 DOWN", "5 503 DOWN", "5 503 DOWN"]);
    expect(there).toEqual(["5 500 UP", "5 500 UP", "t 0 UP", "t 0 UP", "5 500 UP", "5 500 UP"]);
  },
  60_000,
);

/** Reaches the limit while a check is under way, which is dropped or answered well. */
async function overtake(begin: Begin, isDropped: boolean): Promise<{ checks: number; states: string[] }> {
  const { backend, side, close } = await open(begin);
  const fail = async (): Promise<string> => {
    for (let error = 0; error < ERROR_LIMIT; error++) await backend.request("5", side.front);
    return await side.state();
  };
  try {
    const states = [await fail()];
    await until(() => backend.checks === 2, SOON_MS, "the check that the errors bring");
    states.push(await fail());
    await until(() => backend.checks === (isDropped ? 3 : 2), SOON_MS, "another check");
    await answer(backend, side, true);
    states.push(await side.state());
    return { checks: backend.checks, states };
  } finally {
    await close();
  }
}

it.skipIf(!hasHaproxy)(
  "a check under way when the limit is reached counts here; HAProxy 2.6 drops it and begins another",
  async () => {
    const [here, there] = await Promise.all([
      overtake(pilotfish("layer7", "fail-check"), false),
      overtake(haproxy("layer7", "fail-check"), true),
    ]);
    const states = ["UP 2/3", "UP 1/3", "UP"];
    expect(here).toEqual({ checks: 2, states });
    expect(there).toEqual({ checks: 3, states });
  },
  60_000,
);
