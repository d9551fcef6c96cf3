import { afterEach } from "vitest";
import { type HttpProxy, type HttpProxyOptions, startHttpProxy } from "../../support/http-proxy.js";
import { RecordingBackend } from "../../support/recording-backend.js";

export const GET = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

/** A GET of this path. */
export function getOf(path: string, fields = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
}

/** The head of a POST with these fields besides Host. */
export function postHead(fields: string): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
}

/** A proxy in front of one backend, and the backend. */
export interface Scene {
  readonly proxy: HttpProxy;
  readonly backend: RecordingBackend;
}

const open: { close(): void | Promise<void> }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** A backend that is closed after the test. */
export async function aBackend(): Promise<RecordingBackend> {
  const backend = await RecordingBackend.start();
  open.push(backend);
  return backend;
}

/** A proxy that is closed after the test. */
export async function aProxy(options: HttpProxyOptions): Promise<HttpProxy> {
  const proxy = await startHttpProxy(options);
  open.push(proxy);
  return proxy;
}

/** Both, closed after the test. */
export async function aScene(options: Omit<HttpProxyOptions, "backends"> = {}): Promise<Scene> {
  const backend = await aBackend();
  return { backend, proxy: await aProxy({ ...options, backends: [backend.port] }) };
}

/** Bytes whose place in the body can be told from each of them. */
export function patterned(bytes: number, seed = 0): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  for (let at = 0; at < bytes; at++) body[at] = (at * 31 + (at >> 8) * 7 + seed * 101) & 0xff;
  return body;
}

/** Waits until a count has stood still for many turns of the event loop. */
export async function stalled(count: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 200; still++) {
    if (count() !== last) still = 0;
    last = count();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
