import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { functionsOf, importsOf, lineAt, readSource, type SourceText } from "./support/source-text.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What each part of the house may import, and what it may import as types alone. `*` is everything. */
const MAY_IMPORT: Readonly<
  Record<string, { readonly values: readonly string[]; readonly types: readonly string[] }>
> = {
  core: { values: [], types: [] },
  platform: { values: [], types: [] },
  config: { values: [], types: ["core"] },
  control: { values: ["core", "platform"], types: ["config"] },
  proxy: { values: ["core", "platform"], types: ["config"] },
  admin: { values: ["core", "platform"], types: ["config"] },
  extensions: { values: ["core", "platform", "control", "proxy", "config"], types: ["admin"] },
  upstream: { values: ["core", "platform", "control", "proxy", "config", "extensions"], types: [] },
  upstreams: { values: ["core", "platform", "control", "proxy", "upstream"], types: ["config"] },
  listeners: { values: ["platform", "proxy", "extensions"], types: ["config", "admin", "handover"] },
  handover: { values: ["platform", "proxy"], types: ["config"] },
  "kept-state": { values: ["core", "platform", "control"], types: ["handover", "upstreams"] },
  reloader: {
    values: ["config", "platform"],
    types: ["admin", "listeners", "proxy", "upstream", "upstreams"],
  },
  app: {
    values: [
      "core",
      "platform",
      "control",
      "proxy",
      "config",
      "admin",
      "upstreams",
      "listeners",
      "handover",
      "kept-state",
      "reloader",
    ],
    types: [],
  },
  preload: { values: ["core", "platform", "control", "proxy", "admin"], types: [] },
  cli: { values: ["app", "config", "admin", "dev", "handover", "platform", "preload"], types: ["core"] },
  dev: { values: ["app", "config", "platform"], types: [] },
};

/** Where real time, chance, timers and the console may be used. */
const MAY_TOUCH_THE_WORLD = ["platform", "dev", "cli"];

/** Where programs begin. Everything in src is reached from here. */
const ENTRIES = ["src/cli/main.ts"];

/** Files that are longer than a file should be, and why that is right. */
const LONG_FILES: Readonly<Record<string, string>> = {};
const MOST_LINES = 400;

const MOST_FUNCTION_LINES = 80;

/** Development packages that are run rather than imported, and the word that runs them. */
const TOOLS: Readonly<Record<string, string>> = {
  "@biomejs/biome": "biome",
  "@bufbuild/buf": "buf",
  "@types/dns-packet": '"dns-packet"',
  "@types/node": '"node"',
  protoc: "protoc",
  "ts-proto": "protoc-gen-ts_proto",
  tsx: "tsx",
  typescript: "tsc",
  vitest: "vitest",
};

/** Files without which the others would be no proxy; each says that it is on the request path. */
const ON_THE_REQUEST_PATH = [
  "src/core/scoreboard.ts",
  "src/core/indexed-heap.ts",
  "src/core/load-buckets.ts",
  "src/core/lease.ts",
  "src/core/queue.ts",
  "src/core/slots.ts",
  "src/core/balancers/leastconn.ts",
  "src/core/balancers/roundrobin.ts",
  "src/core/balancers/random.ts",
];

interface SourceFile extends SourceText {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly imports: ReturnType<typeof importsOf>;
}

function listFiles(folder: string, endings: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
}

function read(path: string): SourceFile {
  const source = readSource(readFileSync(join(ROOT, path), "utf8"));
  return { ...source, path, imports: importsOf(source) };
}

const isGenerated = (path: string): boolean => path.includes("/generated/");
const sources = listFiles("src", /\.ts$/).map(read);
const written = sources.filter((file) => !isGenerated(file.path));
const tests = listFiles("test", /\.(ts|mjs)$/).map(read);
const byPath = new Map(sources.map((file) => [file.path, file]));

/** Part of the house a file belongs to: its folder in src, or its name where it lies there itself. */
function partOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

/** The file a relative specifier means. */
function targetOf(from: string, specifier: string): string {
  return posix.join(dirname(from), specifier.replace(/\.js$/, ".ts"));
}

const isRelative = (specifier: string): boolean => specifier.startsWith(".");
const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
const isBuiltIn = (specifier: string): boolean =>
  specifier.startsWith("node:") || builtinModules.includes(specifier);

/** `file:line: what` for each place in the code, comments and strings aside, where the pattern matches. */
function placesOf(file: SourceFile, pattern: RegExp, what: string, text = file.code): string[] {
  return [...text.matchAll(pattern)].map(
    (found) => `${file.path}:${lineAt(text, found.index)}: ${what} (${found[0].trim()})`,
  );
}

describe("the import table", () => {
  it("knows every part of src", () => {
    expect(
      [...new Set(sources.map((file) => partOf(file.path)))].filter((part) => !(part in MAY_IMPORT)),
    ).toEqual([]);
  });

  it("is kept", () => {
    const problems = sources.flatMap((file) =>
      file.imports.flatMap(({ specifier, line, isTypeOnly }) => {
        if (!isRelative(specifier)) return [];
        const target = targetOf(file.path, specifier);
        if (!target.startsWith("src/")) return [`${file.path}:${line}: leaves src for ${target}`];
        const [from, to] = [partOf(file.path), partOf(target)];
        const allowed = MAY_IMPORT[from];
        if (from === to || allowed?.values.includes(to)) return [];
        if (isTypeOnly && allowed?.types.includes(to)) return [];
        return [
          `${file.path}:${line}: ${from} must not import ${isTypeOnly ? "types of " : ""}${to} (${specifier})`,
        ];
      }),
    );
    expect(problems).toEqual([]);
  });

  it("leaves core without packages and without node", () => {
    const problems = sources
      .filter((file) => partOf(file.path) === "core")
      .flatMap((file) =>
        file.imports
          .filter(({ specifier }) => !isRelative(specifier))
          .map(({ specifier, line }) => `${file.path}:${line}: core imports ${specifier}`),
      );
    expect(problems).toEqual([]);
  });

  it("keeps packages out of what is compiled whole", () => {
    const seen = new Set<string>();
    const visit = (path: string): string[] => {
      if (seen.has(path)) return [];
      seen.add(path);
      const values = (byPath.get(path)?.imports ?? []).filter(({ isTypeOnly }) => !isTypeOnly);
      return values.flatMap(({ specifier, line }) => {
        if (isRelative(specifier)) return visit(targetOf(path, specifier));
        return isBuiltIn(specifier) ? [] : [`${path}:${line}: draws in ${specifier}`];
      });
    };
    expect(visit("src/preload.ts")).toEqual([]);
    expect(seen.has("src/proxy/exchange.ts")).toBe(true);
  });

  it("has no dangling and no circular import", () => {
    const problems: string[] = [];
    const done = new Set<string>();
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) {
        problems.push(`circle: ${[...way.slice(way.indexOf(path)), path].join(" -> ")}`);
        return;
      }
      const file = byPath.get(path);
      if (file === undefined || done.has(path)) return;
      for (const { specifier, line, isTypeOnly } of file.imports) {
        if (!isRelative(specifier)) continue;
        const target = targetOf(path, specifier);
        if (target.endsWith(".ts") && !byPath.has(target))
          problems.push(`${path}:${line}: there is no ${target}`);
        else if (!isTypeOnly) visit(target, [...way, path]);
      }
      done.add(path);
    };
    for (const file of sources) visit(file.path, []);
    expect(problems).toEqual([]);
  });
});

describe("the sources", () => {
  it("touch clock, chance, timers and console only where the world is met", () => {
    const world =
      /(?<![.\w$#])(?:Date(?!\.(?:parse|UTC)\b)|performance|setTimeout|setInterval|setImmediate|console)(?![\w$]|\s*:)|\bMath\.random\b|\bprocess\.hrtime\b/g;
    const problems = written
      .filter((file) => !MAY_TOUCH_THE_WORLD.includes(partOf(file.path)))
      .flatMap((file) => [
        ...placesOf(file, world, "belongs into platform"),
        ...file.imports
          .filter(({ specifier }) => /^(?:node:)?(?:timers|perf_hooks)(?:\/|$)/.test(specifier))
          .map(({ specifier, line }) => `${file.path}:${line}: belongs into platform (${specifier})`),
      ]);
    expect(problems).toEqual([]);
  });

  it("are all reached from an entry", () => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { specifier } of byPath.get(path)?.imports ?? []) {
        if (isRelative(specifier)) visit(targetOf(path, specifier));
      }
    };
    for (const entry of ENTRIES) visit(entry);
    expect(ENTRIES.filter((entry) => !byPath.has(entry))).toEqual([]);
    expect(
      sources.filter((file) => !reached.has(file.path)).map((file) => `${file.path}:1: nobody uses it`),
    ).toEqual([]);
  });

  it("bear names of one idea in kebab case", () => {
    const problems = [...written, ...tests].flatMap(({ path }) => {
      const name = basename(path).replace(/\.(?:test\.ts|config\.ts|ts|mjs)$/, "");
      if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return [`${path}:1: is not kebab-case`];
      return /^(?:utils?|helpers?|common|types|misc|index)$/.test(name) ? [`${path}:1: says nothing`] : [];
    });
    expect(problems).toEqual([]);
  });

  it("have no default export, no any, no non-null assertion", () => {
    const problems = written.flatMap((file) => [
      ...placesOf(file, /^export\s+default\b/gm, "default export"),
      ...placesOf(file, /(?<![.\w$#])any(?![\w$]|\s*[(:?])/g, "any"),
      ...placesOf(file, /(?<=[\w$)\]])!(?!=)/g, "non-null assertion"),
    ]);
    expect(problems).toEqual([]);
  });

  it("leave nothing for later", () => {
    const problems = [...written, ...tests.filter((file) => file.path !== "test/tidy.test.ts")].flatMap(
      (file) => placesOf(file, /\b(?:TODO|FIXME|XXX)\b/g, "left for later", file.raw),
    );
    expect(problems).toEqual([]);
  });

  it("say of every export what it is for", () => {
    const declaration =
      /^export\s+(?:declare\s+|abstract\s+|async\s+)*(?:function\*?|class|interface|type|const|let|enum)\s+([\w$]+)/gm;
    const problems = written.flatMap((file) => {
      const seen = new Set<string>();
      return [...file.withoutComments.matchAll(declaration)].flatMap((found) => {
        const name = found[1] ?? "";
        // Only the first of several overloads is described.
        if (seen.has(name)) return [];
        seen.add(name);
        const isDescribed = /\*\/\s*$/.test(file.raw.slice(0, found.index));
        return isDescribed
          ? []
          : [`${file.path}:${lineAt(file.raw, found.index)}: ${name} has no doc comment`];
      });
    });
    expect(problems).toEqual([]);
  });

  it("are short, in whole and in each function", () => {
    const problems = written.flatMap((file) => {
      const lines = file.raw.trimEnd().split("\n").length;
      const tooLong = lines > MOST_LINES && !(file.path in LONG_FILES);
      const functions = functionsOf(file).filter((span) => span.lines > MOST_FUNCTION_LINES);
      return [
        ...(tooLong ? [`${file.path}:${MOST_LINES + 1}: ${lines} lines`] : []),
        ...functions.map((span) => `${file.path}:${span.line}: a function of ${span.lines} lines`),
      ];
    });
    expect(problems).toEqual([]);
  });

  it("need every exception made for length", () => {
    const idle = Object.keys(LONG_FILES).filter(
      (path) => (byPath.get(path)?.raw.trimEnd().split("\n").length ?? 0) <= MOST_LINES,
    );
    expect(idle).toEqual([]);
  });

  it("mark the request path", () => {
    const marked = written
      .filter(({ raw }) => /\/\*\*[^/]*?\bRequest path\./.test(raw))
      .map((file) => file.path);
    expect(ON_THE_REQUEST_PATH.filter((path) => !marked.includes(path))).toEqual([]);
    expect(marked.filter((path) => partOf(path) === "proxy").length).toBeGreaterThan(0);
    expect(marked.filter((path) => !["core", "proxy", "platform"].includes(partOf(path)))).toEqual([]);
  });
});

describe("the packages", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
    readonly dependencies: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const helpers = [...listFiles("proto", /\.(?:mjs|ts)$/), ...listFiles("src", /\.mjs$/)].map(read);
  const imported = (files: readonly SourceFile[]) =>
    files.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => !isRelative(specifier) && !isBuiltIn(specifier))
        .map(({ specifier, line }) => ({ name: packageOf(specifier), place: `${file.path}:${line}` })),
    );

  it("are declared where they are imported", () => {
    const all = { ...manifest.dependencies, ...manifest.devDependencies };
    const problems = [
      ...imported(sources).filter(({ name }) => !(name in manifest.dependencies)),
      ...imported([...tests, ...helpers]).filter(({ name }) => !(name in all)),
    ];
    expect(problems.map(({ name, place }) => `${place}: ${name} is not declared`)).toEqual([]);
  });

  it("are imported where they are declared", () => {
    const running = new Set(imported(sources).map(({ name }) => name));
    const developing = new Set(imported([...tests, ...helpers]).map(({ name }) => name));
    const toolText = [
      JSON.stringify(manifest.scripts),
      ...[...helpers, ...tests].map((file) => file.raw),
      ...["tsconfig.json", ".ci/run"].map((path) => readFileSync(join(ROOT, path), "utf8")),
    ].join("\n");
    const isRun = (name: string): boolean => TOOLS[name] !== undefined && toolText.includes(TOOLS[name]);
    const problems = [
      ...Object.keys(manifest.dependencies).filter((name) => !running.has(name)),
      ...Object.keys(manifest.devDependencies).filter((name) => !developing.has(name) && !isRun(name)),
    ];
    expect(problems.map((name) => `package.json: ${name} is used by nobody`)).toEqual([]);
  });
});

describe("the scanner behind this test", () => {
  it("tells code from comments, strings, templates and patterns", () => {
    const text = [
      'const a = "// no"; // Date',
      "const b = `x $" + "{f({ y: `Date` })} Date`;",
      "const c = /[/]Date/g.test(d) / 2; /* console",
      "*/ const e = 'it\\'s Date';",
    ].join("\n");
    const { code } = readSource(text);
    expect(code).not.toMatch(/Date|console|no"/);
    expect(code).toMatch(/f\(\{ y: ` {4}` \}\)/);
    expect(code.split("\n")).toHaveLength(4);
    expect(code).toHaveLength(text.length);
  });

  it("finds imports of every kind and knows the erased ones", () => {
    const text = [
      'import type { A } from "./a.js";',
      'import { type B, type C } from "./b.js";',
      'import { type D, e } from "./d.js";',
      'export { f } from "./f.js";',
      'import "./g.js";',
      'const h = await import("./h.js");',
      'type I = typeof import("./i.js");',
      'const j = new URL("./j.js", import.meta.url);',
      "import {\n  k,\n  l,\n} from 'pkg/sub';",
      '// import { no } from "./no.js";',
      'import * as m from "@scope/m";',
    ].join("\n");
    expect(importsOf(readSource(text)).map((each) => [each.specifier, each.line, each.isTypeOnly])).toEqual([
      ["./a.js", 1, true],
      ["./b.js", 2, true],
      ["./d.js", 3, false],
      ["./f.js", 4, false],
      ["./g.js", 5, false],
      ["./h.js", 6, false],
      ["./i.js", 7, true],
      ["./j.js", 8, false],
      ["pkg/sub", 9, false],
      ["@scope/m", 14, false],
    ]);
  });

  it("measures functions, methods and arrows, and nothing else", () => {
    const text = [
      "function a(x: (y: number) => void): Promise<void> {",
      "  if (x) {",
      "    return;",
      "  }",
      "}",
      "class B {",
      "  c() {",
      "    for (const d of e) {",
      "    }",
      "  }",
      "}",
      "const f = () => {",
      "};",
    ].join("\n");
    expect(functionsOf(readSource(text))).toEqual([
      { line: 1, lines: 5 },
      { line: 7, lines: 4 },
      { line: 12, lines: 2 },
    ]);
  });
});
