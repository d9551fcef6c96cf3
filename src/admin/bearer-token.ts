import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Log } from "../platform/log.js";

/** A token nobody could mean. */
const LONGEST_TOKEN = 4096;

/**
 * The token every call must carry. The file is read for each call, so that a token that was replaced takes
 * effect at once; while it cannot be read the last one that could counts.
 */
export class BearerToken {
  readonly #path: string;
  readonly #log: Log;
  #digest: Buffer;

  private constructor(path: string, log: Log, token: string) {
    this.#path = path;
    this.#log = log;
    this.#digest = digestOf(token);
  }

  /** @throws Error when the file cannot be read or holds no token. */
  static async load(path: string, log: Log): Promise<BearerToken> {
    return new BearerToken(path, log, await readToken(path));
  }

  /** Whether the value of an `authorization` field carries the token. Takes equally long whatever it is. */
  async isCarriedBy(authorization: string | undefined): Promise<boolean> {
    try {
      this.#digest = digestOf(await readToken(this.#path));
    } catch (error) {
      this.#log.warn({ file: this.#path, err: error }, "admin token cannot be read, the last one counts");
    }
    // The scheme's case does not matter (RFC 9110 section 11.1).
    const carried = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
    return timingSafeEqual(digestOf(carried), this.#digest);
  }
}

/** Refuses every call without the token, those for reflection and health included. */
export function tokenInterceptor(token: BearerToken): ServerInterceptor {
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            void token.isCarriedBy(authorizationOf(metadata)).then((isCarried) => {
              if (isCarried) proceed(metadata);
              else {
                call.sendStatus({
                  code: status.UNAUTHENTICATED,
                  details: "the call needs the header `authorization: Bearer TOKEN`",
                });
              }
            });
          },
        });
      },
    });
}

function authorizationOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get("authorization");
  return typeof value === "string" ? value : undefined;
}

async function readToken(path: string): Promise<string> {
  const token = (await readFile(path, "utf8")).trim();
  if (token === "" || token.length > LONGEST_TOKEN || /\s/.test(token)) {
    throw new Error(`${path} must hold one token of at most ${LONGEST_TOKEN} characters`);
  }
  return token;
}

/** Digests are equally long, which the constant-time comparison needs. */
function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
