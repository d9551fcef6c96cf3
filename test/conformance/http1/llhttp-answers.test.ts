import { type IncomingMessage, request as requestOf } from "node:http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { turn } from "../../support/raw-client.js";
import { observeAnswer } from "../../unit/proxy/http1/observe-answer.js";
import { InjectedSocket } from "./injected-socket.js";
import { byTime, cut, cuts, FUZZ_MS, mutated, RESPONSE_TEXTS } from "./mutated.js";

const METHODS = ["GET", "HEAD"] as const;
const VERSIONS = ["HTTP/1.1", "HTTP/1.0"] as const;
type Method = (typeof METHODS)[number];
type Version = (typeof VERSIONS)[number];

/** What Node's client made of what it got. */
interface NodeAnswer {
  informational: number;
  status: number | undefined;
  body: string;
  isWhole: boolean;
}

/** Gives these bytes to a request of Node's client, and then an end or a reset of the connection. */
async function askNode(
  sent: string,
  method: Method,
  client: "open" | "ended" | "reset",
): Promise<NodeAnswer> {
  const seen: NodeAnswer = { informational: 0, status: undefined, body: "", isWhole: false };
  const socket = new InjectedSocket();
  socket.on("error", () => {});
  const request = requestOf({
    method,
    createConnection: () => socket as never,
    host: "a.example",
  });
  let isBroken = false;
  // A body up to the end of the connection that a reset ended is whole for the message, and an error for the request.
  request.on("error", () => {
    isBroken = true;
  });
  request.on("information", () => {
    seen.informational++;
  });
  request.on("continue", () => {});
  request.on("response", (message: IncomingMessage) => {
    seen.status = message.statusCode;
    message.setEncoding("latin1");
    message.on("data", (text: string) => {
      seen.body += text;
    });
    message.on("error", () => {});
    message.on("end", () => {
      seen.isWhole = message.complete;
    });
  });
  request.end();
  await turn();
  socket.push(Buffer.from(sent, "latin1"));
  if (client === "ended") socket.push(null);
  await turn();
  if (client === "reset") socket.destroy(new Error("reset"));
  for (let quiet = 0; quiet < 2; quiet++) await turn();
  socket.destroy();
  if (isBroken) seen.isWhole = false;
  return seen;
}

/**
 * A backend's bytes reach a client as one answer that it reads as we did, whatever they were; and where they
 * were cut short, the client can tell.
 */
async function compare(pieces: readonly string[], method: Method, version: Version): Promise<string> {
  const given = observeAnswer(pieces, `${method} / ${version}\r\nHost: a.example\r\n\r\n`);
  const shown = JSON.stringify({ pieces, method, version, sent: given.sent });
  expect(given.end, shown).not.toBe("pending");
  const seen = await askNode(given.sent, method, given.client);
  if (given.end === "cut") {
    expect(seen.isWhole, shown).toBe(false);
    return given.end;
  }
  const informational = version === "HTTP/1.0" ? 0 : given.informational;
  if (given.end === "whole") {
    const { status, body } = given;
    expect(seen, shown).toEqual({ informational, status, body, isWhole: true });
  } else {
    expect(seen, shown).toMatchObject({ informational, status: 502, isWhole: true });
  }
  return given.end;
}

describe("what clients get, beside Node's own parser", () => {
  it("is what we understood, or plainly cut: every case", async () => {
    const ends = new Map<string, number>();
    for (const text of RESPONSE_TEXTS) {
      for (const method of METHODS) {
        for (const version of VERSIONS) {
          const end = await compare([text], method, version);
          ends.set(end, (ends.get(end) ?? 0) + 1);
        }
      }
    }
    // The comparison would be worth nothing if all ended in one way.
    for (const end of ["whole", "cut", "replaced"]) expect(ends.get(end)).toBeGreaterThan(40);
  }, 60_000);

  it(
    "is what we understood, or plainly cut: at random",
    async () => {
      const arbitrary = fc.asyncProperty(
        mutated(RESPONSE_TEXTS),
        cuts,
        fc.constantFrom(...METHODS),
        fc.constantFrom(...VERSIONS),
        async (text, at, method, version) => {
          await compare(cut(text, at), method, version);
        },
      );
      await fc.assert(arbitrary, byTime());
    },
    FUZZ_MS + 30_000,
  );
});
