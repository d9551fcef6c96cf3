import { createServer, type IncomingMessage, type Server } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { turn } from "../../support/raw-client.js";
import { type ObservedRequest, observeRequests } from "../../unit/proxy/http1/observe.js";
import { InjectedSocket } from "./injected-socket.js";
import { byTime, FUZZ_MS, mutated, REQUEST_TEXTS } from "./mutated.js";

/** What Node's server made of a client's bytes. */
interface NodeRequest {
  readonly method: string;
  readonly target: string;
  /** Names and values in order. */
  readonly fields: readonly string[];
  body: string;
  isWhole: boolean;
}

/** Methods llhttp has a list of; ours is what RFC 9110 section 9.1 says, any token. */
const LISTED = new Set(["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE"]);

/**
 * Two parsers on one path are how requests are smuggled. Whatever we would forward, Node's strict parser must
 * take too, and both must see the same requests with the same bodies.
 */
describe("beside Node's own parser", () => {
  let server: Server;
  let requests: NodeRequest[];

  beforeAll(() => {
    server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      joinDuplicateHeaders: false,
    });
    server.on("request", (message, response) => {
      record(message, () => response.end());
    });
    // A refusal of Node's own is no refusal of its parser.
    server.on("checkContinue", (message, response) => record(message, () => response.end()));
    server.on("checkExpectation", (message, response) => record(message, () => response.end()));
    // What came whole before the fault is still to be told of.
    server.on("clientError", () => {});
  });
  afterAll(() => void server.close());

  function record(message: IncomingMessage, done: () => void): void {
    const request = {
      method: message.method ?? "",
      target: message.url ?? "",
      fields: message.rawHeaders,
      body: "",
      isWhole: false,
    };
    requests.push(request);
    message.setEncoding("latin1");
    message.on("data", (text: string) => {
      request.body += text;
    });
    message.on("error", () => {});
    message.on("end", () => {
      request.isWhole = message.complete;
      done();
    });
  }

  async function askNode(text: string): Promise<readonly NodeRequest[]> {
    requests = [];
    const seen = requests;
    const socket = new InjectedSocket();
    socket.on("error", () => {});
    server.emit("connection", socket);
    socket.push(Buffer.from(text, "latin1"));
    for (let quiet = 0; quiet < 3; quiet++) await turn();
    socket.destroy();
    return seen;
  }

  async function compare(text: string): Promise<"both" | "refused"> {
    const ours = observeRequests([text]).requests.filter(({ isWhole }) => isWhole);
    const known = ours.findIndex(({ method }) => !LISTED.has(method));
    const compared = known < 0 ? ours : ours.slice(0, known);
    if (compared.length === 0) return "refused";
    for (const request of compared) {
      const read = await askNode(request.forwarded);
      expect(read.length, `what was made of ${JSON.stringify(text)}`).toBe(1);
      expectSame(request, read[0], JSON.stringify(request.forwarded), "forwarded");
    }
    const theirs = await askNode(text);
    // Behind a request that offers an upgrade Node's server reads no further, whether it takes the offer or not.
    const offer = compared.findIndex(({ lines }) => /^upgrade:/im.test(lines));
    const both = offer < 0 ? compared : compared.slice(0, offer);
    for (const [index, request] of both.entries())
      expectSame(request, theirs[index], JSON.stringify(text), "received");
    return "both";
  }

  it("nothing it refuses is forwarded, and for what both take they agree: every case", async () => {
    const verdicts = [];
    for (const text of REQUEST_TEXTS) verdicts.push(await compare(text));
    // The comparison would be worth nothing if one side refused everything.
    expect(verdicts.filter((verdict) => verdict === "both").length).toBeGreaterThan(50);
  }, 60_000);

  it(
    "nothing it refuses is forwarded, and for what both take they agree: at random",
    async () => {
      await fc.assert(
        fc.asyncProperty(mutated(REQUEST_TEXTS), async (text) => {
          await compare(text);
        }),
        byTime(),
      );
    },
    FUZZ_MS + 30_000,
  );
});

function expectSame(
  ours: ObservedRequest,
  theirs: NodeRequest | undefined,
  text: string,
  what: "received" | "forwarded",
): void {
  expect(theirs, `Node refused ${text}`).toBeDefined();
  if (theirs === undefined) return;
  const isOrigin = /^[/*]/.test(theirs.target);
  const fields = ours.lines.split("\r\n").filter((line) => line !== "");
  const names = fields.map((line) => line.slice(0, line.indexOf(":")));
  const seen = {
    method: theirs.method,
    target: isOrigin ? theirs.target : ours.target,
    // What is forwarded has other fields; the tables say which.
    names: what === "received" ? theirs.fields.filter((_, index) => index % 2 === 0) : names,
    body: theirs.body,
    isWhole: theirs.isWhole,
  };
  const { method, target, body } = ours;
  expect(seen, text).toEqual({ method, target, names, body, isWhole: true });
}
