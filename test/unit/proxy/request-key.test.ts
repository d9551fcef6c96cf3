import { describe, expect, it } from "vitest";
import type { KeyConfig } from "../../../src/config/balance-model.js";
import type { ClientFacts } from "../../../src/proxy/message.js";
import { keyOf } from "../../../src/proxy/request-key.js";
import { requestHead } from "../../support/heads.js";

const CLIENT: ClientFacts = {
  remoteAddress: "192.0.2.7",
  isTrusted: false,
  scheme: "http",
  localAuthority: "127.0.0.1:80",
};

const HEAD = requestHead(
  "GET /a/b?user=u%201&user=2&flag HTTP/1.1\r\nHost: Web.Test:80\r\nX-User: alice\r\nX-User: bob\r\nCookie: a=1; sid = s-1 ;b\r\nCookie: other=2\r\n\r\n",
);

describe("the key of a request", () => {
  it.each<[KeyConfig["on"], string, string | undefined]>([
    ["source", "", "192.0.2.7"],
    ["header", "x-user", "alice"],
    ["header", "host", "web.test:80"],
    ["header", "x-none", undefined],
    ["cookie", "sid", "s-1"],
    ["cookie", "other", "2"],
    ["cookie", "b", undefined],
    ["cookie", "SID", undefined],
    ["path", "", "/a/b"],
    ["query", "user", "u%201"],
    ["query", "flag", undefined],
    ["query", "none", undefined],
  ])("on %s %s is %s", (on, name, expected) => {
    expect(keyOf({ on, name }, HEAD, CLIENT)).toBe(expected);
  });

  it("is nobody's where the client has no address", () => {
    expect(keyOf({ on: "source", name: "" }, HEAD, { ...CLIENT, remoteAddress: "" })).toBeUndefined();
  });
});
