import type { Traffic } from "./job.js";

/** The bytes of one request, made once: a typical handful of fields and, if asked for, a body of zeros. */
export function requestBytes(traffic: Traffic, port: number): Buffer {
  if (traffic.kind === "tcp") return Buffer.alloc(traffic.requestBytes, "x");
  const fields = [
    `${traffic.method} ${traffic.path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "User-Agent: pilotfish-bench/1",
    "Accept: application/json, text/plain;q=0.9, */*;q=0.1",
    "Accept-Language: en",
  ];
  if (traffic.close) fields.push("Connection: close");
  if (traffic.method === "GET") return Buffer.from(`${fields.join("\r\n")}\r\n\r\n`, "latin1");
  fields.push("Content-Type: application/octet-stream");
  const { chunkBytes } = traffic;
  fields.push(
    chunkBytes === undefined ? `Content-Length: ${traffic.requestBytes}` : "Transfer-Encoding: chunked",
  );
  const head = Buffer.from(`${fields.join("\r\n")}\r\n\r\n`, "latin1");
  const body =
    chunkBytes === undefined
      ? Buffer.alloc(traffic.requestBytes, "x")
      : chunkedBody(traffic.requestBytes, chunkBytes);
  return Buffer.concat([head, body]);
}

/** A chunked body of `bytes` bytes in chunks of at most `chunkBytes`, with its last chunk and no trailer. */
export function chunkedBody(bytes: number, chunkBytes: number): Buffer {
  const parts: string[] = [];
  for (let left = bytes; left > 0; left -= chunkBytes) {
    const size = Math.min(left, chunkBytes);
    parts.push(`${size.toString(16)}\r\n${"x".repeat(size)}\r\n`);
  }
  return Buffer.from(`${parts.join("")}0\r\n\r\n`, "latin1");
}
