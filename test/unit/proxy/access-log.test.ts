import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/platform/clock.js";
import { AccessLog } from "../../../src/proxy/access-log.js";
import { formatHaproxy } from "../../../src/proxy/access-log-haproxy.js";
import { formatJson } from "../../../src/proxy/access-log-json.js";
import { AccessRecord } from "../../../src/proxy/access-record.js";
import { ProxyError } from "../../../src/proxy/errors.js";

/** A moment in the machine's own time zone, which HAProxy's format is written in. */
function localMs(...parts: [number, number, number, number, number, number, number]): number {
  return new Date(...parts).getTime();
}

/** The example of HAProxy's configuration manual, section 8.2.3, without captured headers. */
function documentedExchange(): AccessRecord {
  const record = new AccessRecord("http", "http-in");
  record.begin(localMs(2009, 1, 6, 12, 14, 14, 655));
  record.clientAddress = "10.0.1.2";
  record.clientPort = 33317;
  record.pool = "static";
  record.backend = "srv1";
  record.backendAddress = "127.0.0.1:8000";
  record.requestMs = 10;
  record.queueMs = 0;
  record.connectMs = 30;
  record.responseMs = 69;
  record.totalMs = 109;
  record.status = 200;
  record.bytesIn = 88;
  record.bytesOut = 2750;
  record.method = "GET";
  record.target = "/index.html";
  record.version = "HTTP/1.1";
  record.host = "example.org";
  record.processConnections = 1;
  record.listenerConnections = 1;
  record.poolConnections = 1;
  record.backendConnections = 1;
  return record;
}

describe("the haproxy format", () => {
  test("writes the documented exchange as the manual shows it", () => {
    expect(formatHaproxy(documentedExchange())).toBe(
      '10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"\n',
    );
  });

  test("writes the documented tunnel as the manual shows it", () => {
    const record = new AccessRecord("tcp", "fnt");
    record.begin(localMs(2009, 1, 6, 12, 12, 51, 443));
    record.clientAddress = "10.0.1.2";
    record.clientPort = 33313;
    record.pool = "bck";
    record.backend = "srv1";
    record.queueMs = 0;
    record.connectMs = 0;
    record.totalMs = 5007;
    record.bytesOut = 212;
    record.retries = 3;
    expect(formatHaproxy(record)).toBe(
      "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0\n",
    );
  });

  test("marks what was not reached, a redispatch and a request nobody understood", () => {
    const record = new AccessRecord("http", "front");
    record.begin(localMs(2026, 10, 20, 0, 0, 0, 7));
    record.clientAddress = "::1";
    record.clientPort = 7;
    record.retries = 2;
    record.isRedispatched = true;
    record.queuePosition = 4;
    record.fail(new ProxyError("client-timeout", "request"));
    record.totalMs = 4000.4;
    expect(formatHaproxy(record)).toBe(
      '::1:7 [20/Nov/2026:00:00:00.007] front front/<NOSRV> -1/-1/-1/-1/4000 -1 0 - - cR-- 0/0/0/0/+2 0/4 "<BADREQ>"\n',
    );
  });

  test("escapes quotes, control and other bytes of the request line as HAProxy does", () => {
    const record = documentedExchange();
    record.target = '/a"b#c\n\u00e9\u007f~';
    expect(formatHaproxy(record)).toMatch(/ "GET \/a#22b#23c#0A#E9#7F~ HTTP\/1\.1"\n$/);
  });

  test("names a client on a unix socket as HAProxy does", () => {
    const record = documentedExchange();
    record.clientAddress = "";
    expect(formatHaproxy(record)).toMatch(/^unix:1 \[/);
  });
});

describe("the json format", () => {
  test("writes every field of an exchange under its name", () => {
    const record = documentedExchange();
    record.startedWallMs = Date.UTC(2026, 10, 20, 10, 0, 0, 5);
    record.responseMs = 69.26;
    record.isReused = true;
    record.isRedispatched = true;
    expect(JSON.parse(formatJson(record))).toEqual({
      time: "2026-11-20T10:00:00.005Z",
      protocol: "http",
      listener: "http-in",
      client: "10.0.1.2",
      clientPort: 33317,
      pool: "static",
      backend: "srv1",
      address: "127.0.0.1:8000",
      method: "GET",
      target: "/index.html",
      version: "HTTP/1.1",
      host: "example.org",
      status: 200,
      end: "--",
      retries: 0,
      redispatched: true,
      reused: true,
      bytesIn: 88,
      bytesOut: 2750,
      TR: 10,
      Tw: 0,
      Tc: 30,
      Tr: 69.3,
      Ta: 109,
      queuePosition: 0,
      processConnections: 1,
      listenerConnections: 1,
      poolConnections: 1,
      backendConnections: 1,
    });
  });

  test("leaves out what does not apply and names the failure", () => {
    const record = new AccessRecord("tcp", "db");
    record.begin(0);
    record.fail(new ProxyError("no-usable-backend", "connect"));
    record.fail(new ProxyError("client-left", "connect"));
    const fields = JSON.parse(formatJson(record));
    expect(fields).toMatchObject({ end: "SC", error: "no-usable-backend", Tw: -1, Tc: -1, Tt: 0 });
    for (const absent of ["client", "pool", "backend", "method", "status", "TR", "Ta", "reused"]) {
      expect(fields).not.toHaveProperty(absent);
    }
  });

  test("stays one line of ASCII that gives hostile bytes back", () => {
    const record = documentedExchange();
    record.target = '/a"b\\c\r\n\u00ff\u0000{}';
    record.backend = "caf\u00e9-\u{1f41f}";
    const line = formatJson(record);
    expect(line).toMatch(/^[ -~]*\n$/);
    expect(JSON.parse(line)).toMatchObject({ target: record.target, backend: record.backend });
  });

  test("cuts a request target that is longer than the limit", () => {
    const record = documentedExchange();
    record.target = `/${"x".repeat(5000)}`;
    expect(JSON.parse(formatJson(record)).target).toHaveLength(2048);
  });
});

describe("the log on a file", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pilotfish-access-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const options = { clock: systemClock, onFailure: (error: Error) => expect.unreachable(error.message) };

  test("appends lines and goes on in a new file after reopen", async () => {
    const path = join(folder, "access.log");
    const log = await AccessLog.open({ format: "haproxy", to: { kind: "file", path } }, options);
    log.write(documentedExchange());
    renameSync(path, `${path}.1`);
    await log.reopen();
    log.write(documentedExchange());
    await log.close(1000);
    const lines = readFileSync(path, "latin1") + readFileSync(`${path}.1`, "latin1");
    expect(lines.match(/http-in/g)).toHaveLength(2);
    expect(readFileSync(path, "latin1")).not.toBe("");
    expect(log).toMatchObject({ writtenLines: 2, droppedLines: 0 });
  });

  test("refuses a path that cannot be opened", async () => {
    const to = { kind: "file", path: join(folder, "missing", "access.log") } as const;
    await expect(AccessLog.open({ format: "json", to }, options)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("writes nothing when off", async () => {
    const path = join(folder, "access.log");
    const log = await AccessLog.open({ format: "off", to: { kind: "file", path } }, options);
    log.write(documentedExchange());
    await log.close(1000);
    expect(() => readFileSync(path)).toThrow("ENOENT");
  });

  test("drops and counts lines while a pipe is stuck, and goes on when it is read again", async () => {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const log = await AccessLog.open({ format: "json", to: { kind: "file", path } }, options);
    const total = 20_000;
    const record = documentedExchange();
    for (let written = 0; written < total; written++) log.write(record);
    expect(log.droppedLines).toBeGreaterThan(0);
    const accepted = total - log.droppedLines;

    const closed = log.close(10_000);
    let text = "";
    const buffer = Buffer.alloc(1024 * 1024);
    while (text.split("\n").length - 1 < accepted) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        text += buffer.toString("latin1", 0, readSync(reader, buffer));
      } catch (error) {
        expect(error).toMatchObject({ code: "EAGAIN" });
      }
    }
    await closed;
    closeSync(reader);
    expect(log.writtenLines).toBe(accepted);
    expect(text).toBe(formatJson(record).repeat(accepted));
  });

  test("gives a stuck pipe up at the deadline of close and counts what was lost", async () => {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const log = await AccessLog.open({ format: "json", to: { kind: "file", path } }, options);
    for (let written = 0; written < 1000; written++) log.write(documentedExchange());
    await log.close(1);
    closeSync(reader);
    expect(log.writtenLines).toBe(0);
    expect(log.droppedLines).toBe(1000);
  });
});
