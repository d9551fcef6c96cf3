import { fstatSync, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Inherited } from "../../../src/handover/inherited.js";

const tcp = (port: number) => ({ kind: "tcp", host: "127.0.0.1", port }) as const;

describe("sockets of the process before", () => {
  const handed = JSON.stringify([
    { listener: "web", address: "127.0.0.1:80", fd: 4, isManaged: false },
    { listener: "web", address: "127.0.0.1:81", fd: 5, isManaged: false },
  ]);

  it("are found by listener and address, once each", () => {
    const inherited = Inherited.of({ PILOTFISH_HANDOVER: handed }, 7);
    expect(inherited.take("other", tcp(80))).toBeUndefined();
    expect(inherited.take("web", tcp(82))).toBeUndefined();
    expect(inherited.take("web", tcp(81))?.fd).toBe(5);
    expect(inherited.take("web", tcp(81))).toBeUndefined();
    expect(inherited.size).toBe(1);
  });

  it.each(["{}", "[1]", '[{"listener":"a","address":"b","fd":"4"}]'])(
    "are refused when they read %s",
    (text) => {
      expect(() => Inherited.of({ PILOTFISH_HANDOVER: text }, 7)).toThrow(/not a list of sockets/);
    },
  );
});

describe("sockets of systemd", () => {
  const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "web:tcp" };

  it("are found by the name of their listener, wherever it is bound", () => {
    const inherited = Inherited.of(env, 7);
    expect(inherited.take("tcp", tcp(1))?.fd).toBe(4);
    expect(inherited.take("web", { kind: "unix", path: "/a", mode: undefined })?.fd).toBe(3);
  });

  it("are another process's where they say so", () => {
    expect(Inherited.of(env, 8).size).toBe(0);
    expect(Inherited.of({}, 8).size).toBe(0);
  });

  it("make no sense without a number", () => {
    expect(() => Inherited.of({ ...env, LISTEN_FDS: "two" }, 7)).toThrow(/LISTEN_FDS/);
  });
});

it("closes what no listener asked for", () => {
  const fd = openSync("/dev/null", "r");
  const inherited = new Inherited([{ listener: "old", address: "127.0.0.1:80", fd, isManaged: false }]);
  expect(inherited.closeRest()).toEqual(["old 127.0.0.1:80"]);
  expect(() => fstatSync(fd)).toThrow(/EBADF/);
  expect(inherited.size).toBe(0);
});

describe("descriptors that are named by their number", () => {
  const fd = (number: number) => ({ kind: "fd", fd: number }) as const;

  it("are those of systemd, whatever their names, and stay open", () => {
    const inherited = Inherited.of({ LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b" }, 7);
    expect(inherited.take("web", fd(4))).toMatchObject({ fd: 4, isManaged: true });
    expect(inherited.take("web", fd(9))).toBeUndefined();
    expect(inherited.size).toBe(1);
  });

  it("have another number in the next process", () => {
    const handed = [{ listener: "web", address: "fd:3", fd: 5, isManaged: true }];
    const inherited = Inherited.of({ PILOTFISH_HANDOVER: JSON.stringify(handed) }, 7);
    expect(inherited.take("web", fd(5))).toBeUndefined();
    expect(inherited.take("web", fd(3))).toMatchObject({ fd: 5, isManaged: true });
  });
});
