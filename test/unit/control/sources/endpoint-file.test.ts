import { describe, expect, it } from "vitest";
import { parseEndpointFile } from "../../../../src/control/sources/file/endpoint-file.js";

function read(text: string) {
  const parsed = parseEndpointFile(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.endpoints;
}

const plain = { id: undefined, weight: 1, tags: [], meta: {} };

describe("good files", () => {
  it.each<[string, string]>([
    [
      "YAML",
      '- "10.0.0.1:80"\n- address: web-b:81\n  id: b\n  weight: 10\n  tags: [x]\n  meta: { zone: "1" }\n  status: warning\n',
    ],
    [
      "YAML under `endpoints`",
      'endpoints:\n  - 10.0.0.1:80\n  - { address: "web-b:81", id: b, weight: 10, tags: [x], meta: { zone: "1" }, status: warning }\n',
    ],
    [
      "JSON",
      '["10.0.0.1:80", {"address":"web-b:81","id":"b","weight":10,"tags":["x"],"meta":{"zone":"1"},"status":"warning"}]',
    ],
    [
      "JSON under `endpoints`",
      '{"endpoints":["10.0.0.1:80", {"address":"web-b:81","id":"b","weight":10,"tags":["x"],"meta":{"zone":"1"},"status":"warning"}]}',
    ],
    [
      "YAML with an alias",
      '- 10.0.0.1:80\n- &b { address: "web-b:81", id: b, weight: 10, tags: [x], meta: { zone: "1" }, status: warning }\n',
    ],
  ])("reads %s", (_name, text) => {
    const [first, second] = read(text);
    expect(first).toEqual({ ...plain, host: "10.0.0.1", port: 80 });
    expect(second).toEqual({
      id: "b",
      host: "web-b",
      port: 81,
      weight: 10,
      tags: ["x"],
      meta: { zone: "1" },
      status: "warning",
    });
  });

  it("reads an IPv6 address in brackets", () => {
    expect(read('- "[::1]:80"')[0]).toMatchObject({ host: "::1", port: 80 });
  });

  it.each(["[]", "endpoints: []", '{"endpoints": []}'])("takes %s for an empty list", (text) => {
    expect(read(text)).toEqual([]);
  });
});

describe("bad files", () => {
  it.each<[string, string, RegExp]>([
    ["no text", "", /^line 1: the file is empty/],
    ["only blanks", "  \n\n", /^line 1: the file is empty/],
    ["only a comment", "# nothing\n", /expected a list of endpoints/],
    ["a text", "hello", /line 1: expected a list of endpoints/],
    ["broken YAML", "- a:1\n- { b: [\n", /^line [23]: .*expected YAML or JSON/],
    ["broken JSON", '["a:1",\n "b:2"', /^line [12]: .*expected YAML or JSON/],
    ["another key", "endpoints: []\nport: 3\n", /^line 2: found "port", expected only "endpoints"/],
    ["a key in JSON", '{"endpoints":[],\n"x":1}', /^line 2: found "x"/],
    ["a number", "- a:1\n- 7\n", /^line 2: found 7, expected "host:port" or/],
    ["no port", "- a:1\n- b\n", /^line 2: found address "b", expected "host:port"/],
    ["port 0", "- a:0\n", /^line 1: found address "a:0"/],
    ["port 70000", "- a:70000\n", /^line 1: found address "a:70000"/],
    ["IPv6 without brackets", '- "::1:80"\n', /found address "::1:80"/],
    ["no address", "- a:1\n- id: x\n", /^line 2: found address nothing/],
    [
      "an unknown field",
      "- a:1\n\n- address: b:1\n  wieght: 3\n",
      /^line 3: found field "wieght", expected one of address, id/,
    ],
    [
      "a weight of 257",
      "- { address: 'a:1', weight: 257 }",
      /found weight 257, expected a whole number from 0 to 256/,
    ],
    ["half a weight", "- { address: 'a:1', weight: 0.5 }", /found weight 0.5/],
    ["a weight in quotes", "- { address: 'a:1', weight: '5' }", /found weight "5"/],
    ["tags that are no list", "- { address: 'a:1', tags: x }", /found tags "x"/],
    ["meta that is no text", "- { address: 'a:1', meta: { n: 5 } }", /found meta "n" 5, expected text/],
    ["an empty id", "- { address: 'a:1', id: '' }", /found id ""/],
    [
      "an unknown status",
      "- { address: 'a:1', status: up }",
      /found status "up", expected one of passing, warning/,
    ],
    ["one address twice", "- a:1\n- b:1\n- a:1\n", /^line 3: a:1 is listed before, in line 1/],
    [
      "one id twice in JSON",
      '[{"address":"a:1","id":"x"},\n{"address":"b:1","id":"x"}]',
      /^line 2: x is listed before, in line 1/,
    ],
    ["a duplicate field", "- address: a:1\n  address: b:1\n", /^line 2: .*unique/],
  ])("names the line and what was expected: %s", (_name, text, problem) => {
    const parsed = parseEndpointFile(text);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.problem).toMatch(problem);
  });

  it("does not unfold a bomb of aliases", () => {
    const levels = Array.from({ length: 12 }, (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n},`.repeat(9)}]`);
    const parsed = parseEndpointFile(`endpoints:\n- l0: &l0 x\n  ${levels.join("\n  ")}\n`);
    expect(parsed.ok).toBe(false);
  });
});

describe("long lists", () => {
  const entries = Array.from({ length: 20_000 }, (_, n) => `{"address":"h${n}:80"}`);

  it("are read as JSON", () => {
    expect(read(`[${entries.join(",\n")}]`).length).toBe(20_000);
  });

  it.each<[string, string, RegExp]>([
    [
      "YAML",
      entries.map((entry) => `- ${entry}`).join("\n"),
      /characters of YAML, expected at most 262144, or JSON/,
    ],
    ["broken JSON", `[${entries.join(",\n")}`, /; expected JSON/],
    ["a wrong entry", `[${entries.join(",\n")},7]`, /^entry 20001: found 7/],
    ["a duplicate", `[${entries.join(",\n")},"h0:80"]`, /^entry 20001: h0:80 is listed before, in entry 1/],
  ])("are refused without reading them as YAML: %s", (_name, text, problem) => {
    const parsed = parseEndpointFile(text);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.problem).toMatch(problem);
  });
});
