import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { observeRequests, observeResponse } from "../../unit/proxy/http1/observe.js";
import { byTime, cut, cuts, FUZZ_MS, mutated, REQUEST_TEXTS, RESPONSE_TEXTS } from "./mutated.js";

const REQUESTS = ["GET", "HEAD"].map((method) => `${method} / HTTP/1.1\r\nHost: a.example\r\n\r\n`);

/** TCP may cut a stream anywhere (RFC 9112 section 2.2): what becomes of it must not depend on where. */
describe("bytes mean the same however they are cut", () => {
  it("every request case, cut once at every place, and into single bytes", () => {
    for (const text of REQUEST_TEXTS) {
      expectSame(text, (pieces) => observeRequests(pieces));
    }
  }, 120_000);

  it("every response case, cut once at every place, and into single bytes", () => {
    for (const text of RESPONSE_TEXTS) {
      for (const request of REQUESTS) {
        expectSame(text, (pieces) => observeResponse(pieces, request));
      }
    }
  }, 120_000);

  it(
    "requests made at random",
    () => {
      fc.assert(
        fc.property(mutated(REQUEST_TEXTS), cuts, (text, at) => {
          expect(observeRequests(cut(text, at))).toEqual(observeRequests([text]));
        }),
        byTime(),
      );
    },
    FUZZ_MS + 30_000,
  );

  it(
    "responses made at random",
    () => {
      fc.assert(
        fc.property(mutated(RESPONSE_TEXTS), cuts, fc.constantFrom(...REQUESTS), (text, at, request) => {
          expect(observeResponse(cut(text, at), request)).toEqual(observeResponse([text], request));
        }),
        byTime(),
      );
    },
    FUZZ_MS + 30_000,
  );
});

function expectSame(text: string, observe: (pieces: readonly string[]) => unknown): void {
  const whole = observe([text]);
  const wholeText = JSON.stringify(whole);
  const ways = Array.from({ length: text.length }, (_, at) => cut(text, [at / text.length]));
  for (const pieces of [...ways, text.split("")]) {
    const seen = observe(pieces);
    // The assertion is slow; there are a hundred thousand ways.
    if (JSON.stringify(seen) !== wholeText) expect(seen, JSON.stringify(pieces)).toEqual(whole);
  }
}
