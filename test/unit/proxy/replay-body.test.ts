import { expect, it } from "vitest";
import type { UpstreamStream } from "../../../src/proxy/message.js";
import { ReplayBody } from "../../../src/proxy/replay-body.js";

it("keeps bytes of its own, since what it was given lies in a buffer that serves others next", () => {
  const body = new ReplayBody(100);
  const shared = Buffer.from("hello");
  body.keep(shared);
  shared.fill("X");
  body.end(undefined);
  let sent = "";
  const upstream = {
    sendBody: (bytes: Buffer) => {
      sent += bytes.toString("latin1");
      return true;
    },
    sendEnd: () => {
      sent += ".";
    },
  };
  expect(body.sendTo(upstream as unknown as UpstreamStream)).toBe(true);
  expect(sent).toBe("hello.");
});
