import { expect, test } from "vitest";
import { Backend } from "../../../src/core/backend.js";
import { Scoreboard } from "../../../src/core/scoreboard.js";
import { type Cuttable, OpenWork } from "../../../src/proxy/open-work.js";
import { endpoint } from "../../support/tcp-proxy.js";

function backendAt(port: number): Backend {
  return new Backend(endpoint("10.0.0.1", port), new Scoreboard().allocate(), 0);
}

test("work is counted by kind and backend, and removed once", () => {
  const work = new OpenWork();
  const [a, b] = [backendAt(1), backendAt(2)];
  const request: Cuttable = { kind: "request", cut() {} };
  work.add(a, request);
  work.add(a, { kind: "tunnel", cut() {} });
  work.add(b, { kind: "tunnel", cut() {} });
  expect(work.count(a)).toEqual({ requests: 1, tunnels: 1 });
  expect(work.count(b)).toEqual({ requests: 0, tunnels: 1 });
  expect(work.size).toBe(3);
  work.remove(a, request);
  work.remove(a, request);
  expect(work.count(a)).toEqual({ requests: 0, tunnels: 1 });
  expect(work.size).toBe(2);
  expect(work.count(backendAt(3))).toEqual({ requests: 0, tunnels: 0 });
});

test("a cut ends everything on one backend, though work removes itself and adds more meanwhile", () => {
  const work = new OpenWork();
  const [a, b] = [backendAt(1), backendAt(2)];
  const cut: string[] = [];
  for (const name of ["first", "second"]) {
    const each: Cuttable = {
      kind: "request",
      cut() {
        cut.push(name);
        work.remove(a, this);
        // It goes on elsewhere.
        work.add(b, this);
      },
    };
    work.add(a, each);
  }
  expect(work.cut(a, "cut")).toBe(2);
  expect(cut).toEqual(["first", "second"]);
  expect(work.count(a)).toEqual({ requests: 0, tunnels: 0 });
  expect(work.count(b).requests).toBe(2);
});
