import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HttpProxy, startHttpProxy } from "../../support/http-proxy.js";
import { until } from "../../support/raw-client.js";
import { answer, OK, RecordingBackend } from "../../support/recording-backend.js";
import { CUT_RESPONSES, FRAMED_RESPONSES } from "./cases-response-framing.js";
import { INVALID_RESPONSES, PASSED_RESPONSES } from "./cases-responses.js";
import type { ResponseCase } from "./response-case.js";

const CASES: readonly ResponseCase[] = [
  ...PASSED_RESPONSES,
  ...INVALID_RESPONSES,
  ...FRAMED_RESPONSES,
  ...CUT_RESPONSES,
];

const GET = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const NEXT = "GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n";
/** One whole reply of our own, behind nothing but 1xx answers; without its body for HEAD. */
function isReply502(text: string, request: string): boolean {
  const final = text.replace(/^(?:HTTP\/1\.1 10\d .*\r\n\r\n)+/, "");
  const [head = "", body = ""] = final.split("\r\n\r\n");
  if (!head.startsWith("HTTP/1.1 502 Bad Gateway\r\n")) return false;
  const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1]);
  return request.startsWith("HEAD")
    ? body === ""
    : body.length === length && body.startsWith("502 pilotfish: ");
}

describe("responses", () => {
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

  it.each(CASES)("$rule: $name", async (given) => {
    backend.script = (request) =>
      request.head.includes("/next") ? answer(OK) : answer(given.answer, given.after ?? "keep");
    const client = proxy.dial();
    const sent = given.request ?? GET;
    await client.send(sent);
    const text = await received(given);
    const [first] = backend.requests;
    await proxy.settled();

    // The backend's connection: does it serve whoever comes next?
    const other = proxy.dial();
    await other.send(NEXT);
    await other.receives("\r\n\r\nok");
    const isSame = backend.requests[1]?.connection === first?.connection;
    expect(isSame ? "kept" : "closed").toBe(given.backend);
    if (given.backend === "closed") {
      await until(() => backend.connections[first?.connection ?? -1]?.isClosed === true);
    }
    expect(text).toBe(given.gets === 502 ? "502" : given.gets);
    other.leave();

    async function received({ gets, client: fate }: ResponseCase): Promise<string> {
      if (fate !== "kept") {
        await client.end();
        // A cut must not look like an end where the end of the connection is the end of the body.
        if (fate === "cut" && !client.text.includes("content-length") && !client.text.includes("chunked")) {
          expect(client.ended).toBe("reset");
        }
      } else {
        // The next answer on the same connection shows where this one ended.
        await client.until((sofar) => (gets === 502 ? isReply502(sofar, sent) : sofar.length >= gets.length));
        await client.send(NEXT.replace("/next", "/next?same"));
        const before = client.text.length;
        await client.until((sofar) => sofar.length >= before + OK.length);
        backend.requests.splice(1);
      }
      client.leave();
      const own = fate === "kept" ? client.text.slice(0, -OK.length) : client.text;
      if (fate === "kept") expect(client.text.slice(own.length)).toBe(OK);
      return gets === 502 && isReply502(own, sent) ? "502" : own;
    }
  });
});
