/** An answer of a catalog, as tests look at it. */
export interface RegistryAnswer {
  readonly status: number;
  readonly contentType: string;
  /** `X-Consul-Index`, or undefined where the answer has none. */
  readonly index: number | undefined;
  readonly headers: Headers;
  readonly text: string;
  /** The body read as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** Sends one request below `/v1/`. A body that is not text is sent as JSON. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<RegistryAnswer> {
  const response = await fetch(`${url}/v1/${path}`, {
    method,
    redirect: "manual",
    ...(signal !== undefined && { signal }),
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const index = response.headers.get("x-consul-index");
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "",
    index: index === null ? undefined : Number(index),
    headers: response.headers,
    text,
    json: parse(text),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
