import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Stream } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import type { Probe, ProbeResult } from "../../../src/control/probe.js";
import { ProbeTls } from "../../../src/control/probe-tls.js";
import { AgentProbe } from "../../../src/control/probes/agent.js";
import { GrpcProbe } from "../../../src/control/probes/grpc.js";
import { HttpProbe } from "../../../src/control/probes/http.js";
import { TlsProbe } from "../../../src/control/probes/tls.js";
import { systemClock } from "../../../src/platform/clock.js";

const GENEROUS_MS = 10_000;
const BRIEF_MS = 50;
const folder = new URL("../admin/tls/", import.meta.url);
const pair = {
  key: readFileSync(new URL("key.pem", folder)),
  cert: readFileSync(new URL("cert.pem", folder)),
};
const AUTHORITY = fileURLToPath(new URL("cert.pem", folder));
const TRUSTING = new ProbeTls({ serverName: undefined, verify: false, caFile: undefined }, systemClock);
const STRICT = new ProbeTls({ serverName: "localhost", verify: true, caFile: undefined }, systemClock);
/** The authority that signed the backends' certificate, and the name that it bears, or another one. */
const KNOWING = new ProbeTls({ serverName: "localhost", verify: true, caFile: AUTHORITY }, systemClock);
const MISNAMING = new ProbeTls({ serverName: "web.local", verify: true, caFile: AUTHORITY }, systemClock);

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const saying = (text: string) => listen(createServer((socket) => socket.end(text)));
const silent = () => listen(createServer(() => {}));

async function freePort(): Promise<number> {
  const port = await silent();
  const server = servers.pop();
  await new Promise((resolve) => server?.close(resolve));
  return port;
}

function run(probe: Probe, port: number, timeoutMs = GENEROUS_MS): Promise<ProbeResult> {
  return new Promise((resolve) => probe.run({ host: "127.0.0.1", port }, timeoutMs, resolve));
}

/** Ends a health call in one of the ways there are; `asked` holds the bytes of the question. */
function health(answer: (stream: ServerHttp2Stream) => void, asked: Buffer[] = []) {
  return (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.on("data", (part: Buffer) => asked.push(part));
    stream.once("end", () => answer(stream));
  };
}

function serving(status: number): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  };
}

describe("a grpc probe", () => {
  it.each([
    ["serving", serving(1), true, "L7OK", "SERVING"],
    ["not serving", serving(2), false, "L7STS", "NOT_SERVING"],
    [
      "unknown services",
      (stream: ServerHttp2Stream) =>
        stream.respond(
          { ":status": 200, "grpc-status": "5", "grpc-message": "no such" },
          { endStream: true },
        ),
      false,
      "L7STS",
      "grpc-status 5 (no such)",
    ],
    [
      "plain HTTP",
      (stream: ServerHttp2Stream) => stream.respond({ ":status": 404 }, { endStream: true }),
      false,
      "L7STS",
      "HTTP status 404",
    ],
    ["a reset", (stream: ServerHttp2Stream) => stream.close(2), false, "L7RSP", "NGHTTP2_INTERNAL_ERROR"],
  ])("of a backend that answers %s", async (_name, answer, passed, code, detail) => {
    const asked: Buffer[] = [];
    const port = await listen(createHttp2Server().on("stream", health(answer, asked)));
    const result = await run(new GrpcProbe({ service: "web" }, systemClock), port);
    expect(result).toMatchObject({ passed, code });
    expect(result.detail).toContain(detail);
    expect(Buffer.concat(asked).toString("hex")).toBe("00000000050a03776562");
  });

  it("goes over TLS, and verifies unless that is switched off", async () => {
    const port = await listen(createSecureServer(pair).on("stream", health(serving(1))));
    const ask = (tls: ProbeTls) => run(new GrpcProbe({ service: "" }, systemClock, tls), port);
    for (const tls of [TRUSTING, KNOWING]) expect(await ask(tls)).toMatchObject({ passed: true });
    for (const tls of [STRICT, MISNAMING])
      expect(await ask(tls)).toMatchObject({ passed: false, code: "L6RSP" });
  });

  it("fails without a connection and without an answer", async () => {
    const probe = new GrpcProbe({ service: "" }, systemClock);
    expect(await run(probe, await freePort())).toMatchObject({ passed: false, code: "L4CON" });
    expect(await run(probe, await silent(), BRIEF_MS)).toMatchObject({ passed: false, code: "L7TOUT" });
  });
});

describe("a tls probe", () => {
  it("passes with the handshake, verified unless that is switched off", async () => {
    const port = await listen(createSecureServer(pair));
    const ask = (tls: ProbeTls) => run(new TlsProbe(tls, systemClock), port);
    for (const tls of [TRUSTING, KNOWING])
      expect(await ask(tls)).toMatchObject({ passed: true, code: "L6OK" });
    for (const tls of [STRICT, MISNAMING])
      expect(await ask(tls)).toMatchObject({ passed: false, code: "L6RSP" });
  });

  it("fails where nobody speaks TLS, listens, or answers", async () => {
    const probe = new TlsProbe(TRUSTING, systemClock);
    expect(await run(probe, await saying("HTTP/1.1 400 X\r\n\r\n"))).toMatchObject({ code: "L6RSP" });
    expect(await run(probe, await freePort())).toMatchObject({ code: "L4CON" });
    expect(await run(probe, await silent(), BRIEF_MS)).toMatchObject({ code: "L6TOUT" });
  });
});

describe("an http probe", () => {
  const asking = { method: "POST", path: "/x", host: "web", headers: { "x-a": "1" }, body: "hi" };

  it.each([
    ["a status that is expected", 404, { expectStatus: [{ from: 404, to: 404 }] }, true, "L7OK"],
    ["one that is not", 200, { expectStatus: [{ from: 201, to: 299 }] }, false, "L7STS"],
    ["a body that matches", 200, { expectBody: "is\\s+well$" }, true, "L7OK"],
    ["one that does not", 200, { expectBody: "^bad" }, false, "L7RSP"],
  ])("of %s", async (_name, status, expected, passed, code) => {
    const heard: string[] = [];
    const server = createHttpServer((request, response) => {
      request.setEncoding("utf8").on("data", (text: string) => heard.push(text));
      request.once("end", () => {
        heard.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers["x-a"]}`);
        response.writeHead(status).end("all is well");
      });
    });
    const result = await run(new HttpProbe({ ...asking, ...expected }, systemClock), await listen(server));
    expect(result).toMatchObject({ passed, code, status });
    expect(heard).toEqual(["hi", "POST /x web 1"]);
  });

  it("asks over TLS, and verifies unless that is switched off", async () => {
    const server = createHttpsServer(pair, (_request, response) => response.end("all is well"));
    const port = await listen(server);
    const ask = (tls: ProbeTls) =>
      run(new HttpProbe({ ...asking, expectBody: "^all is well$" }, systemClock, tls), port);
    for (const tls of [TRUSTING, KNOWING])
      expect(await ask(tls)).toMatchObject({ passed: true, code: "L7OK", status: 200 });
    for (const tls of [STRICT, MISNAMING])
      expect(await ask(tls)).toMatchObject({ passed: false, code: "L6RSP" });
  });

  it("tells a handshake that failed from an answer that did", async () => {
    const port = await saying("HTTP/1.1 200 X\r\n\r\n");
    expect(await run(new HttpProbe(asking, systemClock, TRUSTING), port)).toMatchObject({ code: "L6RSP" });
  });
});

describe("an agent probe", () => {
  it("sends what it is to send, and takes the first line, in pieces or not", async () => {
    const heard: string[] = [];
    const server = createServer((socket) => {
      socket.setEncoding("latin1").on("data", (text: string) => {
        heard.push(text);
        socket.write("50% ");
        setImmediate(() => socket.write("up\r\nmore"));
      });
    });
    const result = await run(new AgentProbe({ send: "hello\n" }, systemClock), await listen(server));
    expect(result).toMatchObject({ passed: true, code: "L7OK", text: "50% up" });
    expect(heard).toEqual(["hello\n"]);
  });

  it("takes no line, and one that ends with the connection alone, for a failure", async () => {
    const probe = new AgentProbe({ send: "" }, systemClock);
    expect(await run(probe, await saying("drain\r"))).toMatchObject({ passed: true, text: "drain" });
    expect(await run(probe, await saying("drain"))).toMatchObject({ passed: false, code: "L7RSP" });
    expect(await run(probe, await saying("\n"))).toMatchObject({ passed: false, code: "L7RSP" });
    expect(await run(probe, await saying("x".repeat(5_000)))).toMatchObject({ passed: false, code: "L7RSP" });
    expect(await run(probe, await silent(), BRIEF_MS)).toMatchObject({ passed: false, code: "L7TOUT" });
    expect(await run(probe, await freePort())).toMatchObject({ passed: false, code: "L4CON" });
  });
});
