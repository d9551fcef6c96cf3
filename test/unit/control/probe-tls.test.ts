import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, rootCertificates, type Server } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ProbeTls } from "../../../src/control/probe-tls.js";
import { TlsProbe } from "../../../src/control/probes/tls.js";
import { systemClock } from "../../../src/platform/clock.js";
import { ManualClock } from "../../support/manual-clock.js";

const pair = new URL("../admin/tls/", import.meta.url);
const authority = readFileSync(new URL("cert.pem", pair));
/** Sound, and nobody's here. */
const stranger = rootCertificates[0] ?? "";
const folder = mkdtempSync(join(tmpdir(), "probe-tls-"));
let server: Server;

beforeAll(async () => {
  server = createServer({ key: readFileSync(new URL("key.pem", pair)), cert: authority });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function setUp(caFile: string) {
  const clock = new ManualClock();
  const tls = new ProbeTls({ serverName: "localhost", verify: true, caFile }, clock);
  const { port } = server.address() as AddressInfo;
  const probe = new TlsProbe(tls, systemClock);
  const passes = () =>
    new Promise<boolean>((resolve) =>
      probe.run({ host: "127.0.0.1", port }, 10_000, (result) => resolve(result.passed)),
    );
  return { clock, passes };
}

it("follows a file of authorities that changes, at the latest after ten seconds", async () => {
  const file = join(folder, "changing.pem");
  writeFileSync(file, stranger);
  const { clock, passes } = setUp(file);
  expect(await passes()).toBe(false);
  writeFileSync(file, authority);
  await clock.advance(9_999);
  expect(await passes()).toBe(false);
  await clock.advance(1);
  expect(await passes()).toBe(true);
});

it("trusts on whom it trusted while the file is gone", async () => {
  const file = join(folder, "going.pem");
  writeFileSync(file, authority);
  const { clock, passes } = setUp(file);
  expect(await passes()).toBe(true);
  rmSync(file);
  await clock.advance(10_000);
  expect(await passes()).toBe(true);
});

it("trusts nobody while the file was never read", async () => {
  const { passes } = setUp(join(folder, "missing.pem"));
  expect(await passes()).toBe(false);
});
