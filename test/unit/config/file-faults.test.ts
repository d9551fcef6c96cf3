import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { afterAll, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.js";

const folder = mkdtempSync(join(tmpdir(), "file-faults-"));
const [one = "", two = ""] = rootCertificates;
const broken = two.replace("MII", "AAA");

afterAll(() => rmSync(folder, { recursive: true }));

/** Problems of a configuration whose check names this file, as `line path message`. */
async function problemsOf(check: string): Promise<readonly string[]> {
  const file = join(folder, "pilotfish.yaml");
  writeFileSync(
    file,
    `version: 1
listeners: [{ name: web, bind: "127.0.0.1:0", protocol: http, pool: web }]
pools:
  - name: web
    discovery: { type: static, endpoints: ["127.0.0.1:1"] }
    healthCheck: ${check}
`,
  );
  const result = await loadConfig(file, { env: {} });
  return result.ok ? [] : result.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
}

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

it("takes a file of one or several authorities", async () => {
  const file = written("sound.pem", `first\n${one}\nsecond\n${two}\n`);
  expect(await problemsOf(`{ type: http, tls: { ca: ${file} } }`)).toEqual([]);
  expect(await problemsOf(`{ type: tls, ca: ${file} }`)).toEqual([]);
});

it.each([
  ["is missing", () => join(folder, "none.pem"), "which cannot be read: ENOENT"],
  ["holds no certificate", () => written("empty.pem", "hello"), "expected a file with certificates (PEM)"],
  [
    "holds a broken one",
    () => written("broken.pem", `${one}\n${broken}`),
    "whose certificate 2 cannot be read",
  ],
])("tells where a file that %s is named", async (_title, make, words) => {
  const file = make();
  const [http = "", ...more] = await problemsOf(`{ type: http, tls: { ca: ${file} } }`);
  expect(more).toEqual([]);
  expect(http).toContain(`6 pools[0].healthCheck.tls.ca found ${file}, ${words}`);
  const [grpc = ""] = await problemsOf(`{ type: grpc, tls: { ca: ${file} } }`);
  expect(grpc).toContain(`6 pools[0].healthCheck.tls.ca found ${file}, ${words}`);
  const [tls = ""] = await problemsOf(`{ type: tls, ca: ${file} }`);
  expect(tls).toContain(`6 pools[0].healthCheck.ca found ${file}, ${words}`);
});
