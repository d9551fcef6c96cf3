import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ConnectionMode } from "../../../src/proxy/connection-mode.js";
import { type HttpProxy, startHttpProxy } from "../../support/http-proxy.js";
import { until } from "../../support/raw-client.js";
import { RecordingBackend } from "../../support/recording-backend.js";
import { FORWARDED_FIELDS, REFUSED_FIELDS } from "./cases-fields.js";
import { FORWARDED_FRAMING, REFUSED_FRAMING } from "./cases-framing.js";
import { FORWARDED_REQUEST_LINES, REFUSED_REQUEST_LINES } from "./cases-request-line.js";
import { FORWARDED_SMUGGLING, REFUSED_SMUGGLING } from "./cases-smuggling.js";
import type { ForwardedCase, RefusedCase } from "./request-case.js";

const REFUSED: readonly RefusedCase[] = [
  ...REFUSED_REQUEST_LINES,
  ...REFUSED_FIELDS,
  ...REFUSED_FRAMING,
  ...REFUSED_SMUGGLING,
];
const FORWARDED: readonly ForwardedCase[] = [
  ...FORWARDED_REQUEST_LINES,
  ...FORWARDED_FIELDS,
  ...FORWARDED_FRAMING,
  ...FORWARDED_SMUGGLING,
];
const MODES: readonly ConnectionMode[] = ["handle", "socket"];

describe.each(MODES)("requests, over a %s", (connectionMode) => {
  let backend: RecordingBackend;
  let proxy: HttpProxy;

  beforeAll(async () => {
    backend = await RecordingBackend.start();
    proxy = await startHttpProxy({ backends: [backend.port], connectionMode });
  });
  afterEach(() => backend.forget());
  afterAll(async () => {
    proxy.close();
    await backend.close();
  });

  describe("refused", () => {
    it.each(REFUSED)("$rule: $name, $status", async ({ send, status, isInBody }) => {
      const records = proxy.records.length;
      const client = proxy.dial();
      await client.send(send);
      const text = await client.end();
      client.leave();
      await proxy.settled();
      expect(client.ended).toBe("end");
      expectClosingReply(text, status);
      expect(backend.requests).toEqual([]);
      if (!isInBody) expect(backend.text).toBe("");
      // Whatever connection had a part of it is never used again.
      await until(() => backend.connections.every(({ text: sent, isClosed }) => sent === "" || isClosed));
      const record = await proxy.record(records);
      expect([record.status, record.endState]).toEqual([status, isInBody ? "PD" : "PR"]);
    });
  });

  describe("forwarded", () => {
    it.each(FORWARDED)("$rule: $name", async ({ send, gets }) => {
      const client = proxy.dial();
      await client.send(send);
      await client.receives("\r\n\r\nok");
      client.leave();
      await proxy.settled();
      expect(backend.text).toBe(gets);
      expect(backend.requests).toHaveLength(1);
      expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    });
  });
});

/** One whole reply of our own, as a client that knows nothing reads it, and nothing behind it. */
function expectClosingReply(text: string, status: number): void {
  const [head = "", body] = text.split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z][A-Za-z ]+\r\n`));
  expect(head).toContain("\r\nconnection: close");
  expect(head).toContain(`\r\ncontent-length: ${body?.length}\r\n`);
  expect(body).toMatch(new RegExp(`^${status} pilotfish: `));
}
