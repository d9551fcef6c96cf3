import { describe, expect, it } from "vitest";
import type { Environment } from "../../../src/config/environment.js";
import { parseConfig } from "../../../src/config/load.js";

function read(consul: string, env: Environment) {
  const text = `consul: ${consul}\nlisteners: [{ name: a, bind: ":1" }]`;
  const result = parseConfig(text, { file: "f", env });
  return result.ok
    ? result.config.consul
    : result.problems.map(({ file, path, message }) => `${file} ${path}: ${message}`);
}

describe("the Consul CLI's environment", () => {
  it("gives what the file leaves out", () => {
    const env = {
      CONSUL_HTTP_ADDR: "consul.local:8500",
      CONSUL_HTTP_TOKEN: "t",
      CONSUL_HTTP_TOKEN_FILE: "/t",
      CONSUL_HTTP_AUTH: "u:p",
      CONSUL_HTTP_SSL: "1",
      CONSUL_HTTP_SSL_VERIFY: "F",
      CONSUL_CACERT: "/ca",
      CONSUL_CLIENT_CERT: "/cert",
      CONSUL_CLIENT_KEY: "/key",
      CONSUL_TLS_SERVER_NAME: "server.dc1.consul",
      CONSUL_NAMESPACE: "ns",
      CONSUL_PARTITION: "part",
    };
    expect(read("{}", env)).toMatchObject({
      address: "https://consul.local:8500",
      token: "t",
      tokenFile: "/t",
      auth: "u:p",
      namespace: "ns",
      partition: "part",
      tls: {
        caFile: "/ca",
        certFile: "/cert",
        keyFile: "/key",
        serverName: "server.dc1.consul",
        verify: false,
      },
    });
  });

  it("loses to the file, field by field", () => {
    const env = {
      CONSUL_HTTP_ADDR: "ftp://nonsense",
      CONSUL_NAMESPACE: "env",
      CONSUL_CACERT: "/env",
      CONSUL_TLS_SERVER_NAME: "env",
    };
    expect(read('{ address: "http://file:1", namespace: file, tls: { ca: /file } }', env)).toMatchObject({
      address: "http://file:1",
      namespace: "file",
      tls: { caFile: "/file", serverName: "env" },
    });
  });

  it("gives no token at all where the file has either", () => {
    const env = { CONSUL_HTTP_TOKEN: "t", CONSUL_HTTP_TOKEN_FILE: "/t" };
    expect(read("{ token: file }", env)).toMatchObject({ token: "file", tokenFile: undefined });
    expect(read("{ tokenFile: /file }", env)).toMatchObject({ token: undefined, tokenFile: "/file" });
  });

  it("counts an empty variable as unset", () => {
    const env = {
      CONSUL_HTTP_ADDR: "",
      CONSUL_HTTP_TOKEN: "",
      CONSUL_HTTP_SSL: "",
      CONSUL_HTTP_SSL_VERIFY: "",
    };
    expect(read("{}", env)).toMatchObject({
      address: "http://127.0.0.1:8500",
      token: undefined,
      tls: { verify: true },
    });
  });

  it.each([
    [undefined, "10.0.0.1:8500", undefined, "http://10.0.0.1:8500"],
    [undefined, "http://10.0.0.1:8500/", undefined, "http://10.0.0.1:8500"],
    [undefined, "https://10.0.0.1", undefined, "https://10.0.0.1:443"],
    [undefined, "10.0.0.1", undefined, "http://10.0.0.1:80"],
    [undefined, "[::1]:8500", undefined, "http://[::1]:8500"],
    [undefined, "unix:///run/consul.sock", undefined, "unix:///run/consul.sock"],
    [undefined, "unix:///run/consul.sock", "true", "unix:///run/consul.sock"],
    [undefined, "http://10.0.0.1:8500", "true", "https://10.0.0.1:8500"],
    [undefined, undefined, "true", "https://127.0.0.1:8500"],
    [undefined, "localhost:8500", "false", "http://localhost:8500"],
    ["consul:8501", "x:1", "true", "https://consul:8501"],
    ["consul:8501", "x:1", undefined, "http://consul:8501"],
    ["http://consul:8501", "x:1", "true", "http://consul:8501"],
  ])("file %j, CONSUL_HTTP_ADDR %j, CONSUL_HTTP_SSL %j: %s", (file, address, ssl, expected) => {
    const consul = file === undefined ? "{}" : `{ address: "${file}" }`;
    expect(read(consul, { CONSUL_HTTP_ADDR: address, CONSUL_HTTP_SSL: ssl })).toMatchObject({
      address: expected,
    });
  });

  it("is named when it is wrong", () => {
    const env = {
      CONSUL_HTTP_ADDR: "ftp://x",
      CONSUL_HTTP_SSL: "maybe",
      CONSUL_HTTP_SSL_VERIFY: "no",
      CONSUL_CLIENT_CERT: "/c",
    };
    expect(read("{}", env)).toEqual([
      "f consul.tls.key: missing, expected the key that belongs to cert",
      'environment CONSUL_HTTP_SSL: found "maybe", expected true or false',
      'environment CONSUL_HTTP_ADDR: found "ftp://x", expected http://host:port, https://host:port or unix:///path',
      'environment CONSUL_HTTP_SSL_VERIFY: found "no", expected true or false',
    ]);
  });
});
