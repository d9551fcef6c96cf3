import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFileSource } from "../../../../src/control/sources/file/file.js";
import type { FileReading, WatchedFileAccess } from "../../../../src/control/sources/file/watched-file.js";
import { ManualClock, settled } from "../../../support/manual-clock.js";
import { RecordingLog } from "./consul-config.js";
import { FakeResolver, RecordingSink } from "./recording-sink.js";

/** A file the test writes, and events it sends by hand. */
class FakeFile implements WatchedFileAccess {
  text: string | undefined;
  directory: string | undefined = "d1";
  canWatch = true;
  reads = 0;
  watches = 0;
  closed = 0;
  event = () => {};
  end = () => {};

  async read(_path: string, bytesMax: number, previous: string | undefined): Promise<FileReading> {
    this.reads += 1;
    const { text } = this;
    await settled();
    if (text === undefined) return { kind: "failed", problem: "the file does not exist" };
    if (text.length > bytesMax) return { kind: "failed", problem: "too large" };
    return text === previous ? { kind: "unchanged" } : { kind: "content", text, mark: text };
  }

  watch(_path: string, onEvent: () => void, onEnd: () => void) {
    if (!this.canWatch) throw new Error("ENOSPC");
    this.watches += 1;
    this.event = onEvent;
    this.end = onEnd;
    return { close: () => (this.closed += 1) };
  }

  async directoryMark(): Promise<string | undefined> {
    return this.directory;
  }
}

function setUp(files?: WatchedFileAccess, path = "/etc/web.yaml") {
  const clock = new ManualClock();
  const sink = new RecordingSink();
  const log = new RecordingLog();
  const deps = { clock, random: () => 0, resolver: new FakeResolver(), log };
  const source = createFileSource({ type: "file", path, resolve: "all" }, deps, files);
  return { clock, sink, log, source };
}

describe("reading and keeping", () => {
  it("delivers the list after start has returned, and once while nothing changes", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80\n- { address: '10.0.0.2:80', id: b, status: critical }\n";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    expect(sink.snapshots).toEqual([]);
    await clock.advance(60_000);
    expect(sink.lists()).toEqual([["10.0.0.1:80=10.0.0.1:80", "b=10.0.0.2:80"]]);
    expect(sink.snapshots[0]?.endpoints[1]).toMatchObject({
      key: "file/b",
      status: "critical",
      admitted: false,
      reason: "listed as critical",
    });
    expect(source.status()).toMatchObject({
      kind: "file",
      state: "live",
      endpoints: 2,
      details: { watch: "events" },
    });
    expect(source.status().lastSuccessMs).toBe(clock.nowMs());
    source.stop();
  });

  it.each<[string, string | undefined, RegExp]>([
    ["missing", undefined, /^\/etc\/web.yaml: the file does not exist/],
    ["empty", "", /line 1: the file is empty/],
    ["malformed", "- 10.0.0.1:80\n- [", /line [23]: /],
    ["holding a duplicate", "- a:1\n- a:1", /line 2: a:1 is listed before/],
    ["too large", `#${"x".repeat(4 * 1024 * 1024)}`, /too large/],
  ])("keeps the last list while the file is %s", async (_name, bad, reason) => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(0);
    file.text = bad;
    file.event();
    await clock.advance(60_000);
    expect(sink.lists()).toEqual([["10.0.0.1:80=10.0.0.1:80"]]);
    expect(source.status()).toMatchObject({ state: "stale", endpoints: 1 });
    expect(source.status().reason).toMatch(reason);
    file.text = "- 10.0.0.2:80";
    file.event();
    await clock.advance(50);
    expect(sink.lists().at(-1)).toEqual(["10.0.0.2:80=10.0.0.2:80"]);
    expect(sink.states()).toEqual(["live", "stale", "live"]);
    expect(source.status()).toMatchObject({ consecutiveFailures: 0, reason: "" });
    source.stop();
  });

  it("stays starting while there never was a list", async () => {
    const { source, sink, clock } = setUp(new FakeFile());
    source.start(sink);
    await clock.advance(0);
    expect(source.status()).toMatchObject({ state: "starting", failures: 1 });
    expect(source.status().reason).toContain("does not exist");
    source.stop();
  });

  it("delivers again what the receiver threw at", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    const take = sink.onSnapshot.bind(sink);
    sink.onSnapshot = () => {
      throw new Error("no room");
    };
    source.start(sink);
    await clock.advance(0);
    expect(source.status().reason).toContain("no room");
    sink.onSnapshot = take;
    await clock.advance(5_000);
    expect(sink.lists()).toEqual([["10.0.0.1:80=10.0.0.1:80"]]);
    source.stop();
  });
});

describe("noticing changes", () => {
  it("reads 50 ms after the last event of a burst", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(0);
    file.text = "- 10.0.0.2:80";
    for (let n = 0; n < 5; n += 1) {
      file.event();
      await clock.advance(49);
    }
    expect(file.reads).toBe(1);
    await clock.advance(1);
    expect(file.reads).toBe(2);
    expect(sink.lists().at(-1)).toEqual(["10.0.0.2:80=10.0.0.2:80"]);
    source.stop();
  });

  it("reads within a second under constant events", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(0);
    for (let ms = 0; ms < 1_000; ms += 10) {
      file.event();
      await clock.advance(10);
    }
    expect(file.reads).toBe(2);
    source.stop();
  });

  it("reads again when the file changed while it was read", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(0);
    const read = file.read.bind(file);
    file.read = async (...args) => {
      const reading = await read(...args);
      if (file.reads === 2) {
        file.text = "- 10.0.0.3:80";
        file.event();
        await clock.advance(50);
      }
      return reading;
    };
    file.text = "- 10.0.0.2:80";
    file.event();
    await clock.advance(50);
    await expect.poll(() => sink.lists().at(-1)).toEqual(["10.0.0.3:80=10.0.0.3:80"]);
    source.stop();
  });

  it("polls every 5 s where events cannot be had, and tries for them again", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    file.canWatch = false;
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(0);
    expect(source.status().details.watch).toBe("poll");
    file.text = "- 10.0.0.2:80";
    await clock.advance(4_999);
    expect(sink.snapshots.length).toBe(1);
    file.canWatch = true;
    await clock.advance(1);
    expect(sink.lists().at(-1)).toEqual(["10.0.0.2:80=10.0.0.2:80"]);
    expect(source.status().details.watch).toBe("events");
    source.stop();
  });

  it("watches anew when the directory is another one or the watch ended", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    await clock.advance(5_000);
    expect(file.watches).toBe(1);
    file.directory = "d2";
    await clock.advance(5_000);
    expect(file).toMatchObject({ watches: 2, closed: 1 });
    file.end();
    await clock.advance(5_000);
    expect(file.watches).toBe(3);
    source.stop();
  });

  it("leaves nothing behind when stopped, also during a read", async () => {
    const file = new FakeFile();
    file.text = "- 10.0.0.1:80";
    const { source, sink, clock } = setUp(file);
    source.start(sink);
    source.stop();
    await clock.advance(60_000);
    expect(sink.snapshots).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
    expect(file.watches).toBe(file.closed);
  });
});

describe("on the real file system", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "file-source-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** Lets the real event arrive, and moves the clock past the debounce but never to the poll. */
  async function expectList(run: ReturnType<typeof setUp>, wanted: readonly string[]): Promise<void> {
    let steps = 0;
    await expect
      .poll(async () => {
        steps += 1;
        if (steps < 80) await run.clock.advance(55);
        return run.sink.lists().at(-1);
      })
      .toEqual(wanted);
  }

  it("sees a write, an atomic replacement and a removed and restored file", async () => {
    const path = join(directory, "web.yaml");
    writeFileSync(path, "- 10.0.0.1:80");
    const run = setUp(undefined, path);
    run.source.start(run.sink);
    await expectList(run, ["10.0.0.1:80=10.0.0.1:80"]);
    writeFileSync(path, "- 10.0.0.2:80");
    await expectList(run, ["10.0.0.2:80=10.0.0.2:80"]);
    writeFileSync(`${path}.new`, "- 10.0.0.3:80");
    renameSync(`${path}.new`, path);
    await expectList(run, ["10.0.0.3:80=10.0.0.3:80"]);
    rmSync(path);
    await expect
      .poll(async () => {
        await run.clock.advance(55);
        return run.source.status().reason;
      })
      .toContain("does not exist");
    writeFileSync(path, "- 10.0.0.4:80");
    await expectList(run, ["10.0.0.4:80=10.0.0.4:80"]);
    run.source.stop();
  });

  it("sees the swap of a directory behind a symbolic link, as Kubernetes does it", async () => {
    const publish = (name: string, text: string) => {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, "web.yaml"), text);
      symlinkSync(name, join(directory, "..data_tmp"));
      renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
    };
    publish("..one", "- 10.0.0.1:80");
    symlinkSync("..data/web.yaml", join(directory, "web.yaml"));
    const run = setUp(undefined, join(directory, "web.yaml"));
    run.source.start(run.sink);
    await expectList(run, ["10.0.0.1:80=10.0.0.1:80"]);
    publish("..two", "- 10.0.0.2:80");
    await expectList(run, ["10.0.0.2:80=10.0.0.2:80"]);
    run.source.stop();
  });

  it.each<[string, (path: string) => void, RegExp]>([
    ["a directory", (path) => mkdirSync(path), /expected a regular file/],
    [
      "larger than 4 MiB",
      (path) => writeFileSync(path, "#".repeat(4 * 1024 * 1024 + 1)),
      /4194305 bytes, expected at most 4194304/,
    ],
    ["in a missing directory", (path) => rmSync(join(path, ".."), { recursive: true }), /does not exist/],
  ])("says that the path is %s", async (_name, make, reason) => {
    const path = join(directory, "web.yaml");
    make(path);
    const run = setUp(undefined, path);
    run.source.start(run.sink);
    await expect.poll(() => run.source.status().reason).toMatch(reason);
    run.source.stop();
  });
});
