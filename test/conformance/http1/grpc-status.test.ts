import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HttpProxy, startHttpProxy } from "../../support/http-proxy.js";
import { answer, RecordingBackend } from "../../support/recording-backend.js";

const CALL = "POST /pkg.Service/Call HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n";
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n";
/** A message, then the status in the trailers. */
const inTrailers = (code: string): string =>
  `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\nm\r\n0\r\ngrpc-status: ${code}\r\n\r\n`;
/** Trailers-only: the status in the head, no body. */
const inHead = (code: string): string => `${HEAD}grpc-status: ${code}\r\ncontent-length: 0\r\n\r\n`;

describe("the status of a gRPC answer", () => {
  let backend: RecordingBackend;
  let proxy: HttpProxy;

  beforeAll(async () => {
    backend = await RecordingBackend.start();
    proxy = await startHttpProxy({ backends: [backend.port] });
  });
  afterEach(() => backend.forget());
  afterAll(async () => {
    proxy.close();
    await backend.close();
  });

  it.each([
    { text: inTrailers("0"), counter: "success", why: "OK in trailers" },
    { text: inTrailers("14"), counter: "serverError", why: "UNAVAILABLE in trailers" },
    { text: inTrailers("5"), counter: "success", why: "NOT_FOUND is the caller's fault" },
    { text: inHead("14"), counter: "serverError", why: "UNAVAILABLE, trailers-only" },
    { text: inHead("8"), counter: "success", why: "RESOURCE_EXHAUSTED is 429, as in Envoy" },
    { text: inHead("0"), counter: "success", why: "OK, trailers-only" },
    { text: inHead("99"), counter: "serverError", why: "no code at all" },
  ] as const)("counts as $counter: $why", async ({ text, counter }) => {
    const before = proxy.pool.total(counter);
    const served = proxy.pool.total("status2xx");
    backend.script = () => answer(text);
    const client = proxy.dial();
    await client.send(CALL);
    await client.receives("grpc-status");
    await proxy.settled();
    expect(proxy.pool.total(counter) - before).toBe(1);
    // The class of the HTTP status stays what it is.
    expect(proxy.pool.total("status2xx") - served).toBe(1);
  });
});
