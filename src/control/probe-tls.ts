import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { type ConnectionOptions, createSecureContext, type SecureContext } from "node:tls";
import type { CheckTlsConfig } from "../config/health-model.js";
import type { Clock } from "../platform/clock.js";

/** Certificates are looked at again after so long; authorities change once in months. */
const LOOK_MS = 10_000;

/** TLS of a check, ready to connect with. Its checks share what is trusted, which is dear to make. */
export class ProbeTls {
  readonly #config: CheckTlsConfig;
  readonly #clock: Clock;
  #context: SecureContext | undefined;
  #seen = "";
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(config: CheckTlsConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** Options of a connection to this host. An address is no server name (RFC 6066 section 3). */
  optionsFor(host: string): ConnectionOptions {
    const { serverName, verify } = this.#config;
    const name = serverName ?? (isIP(host) === 0 ? host : undefined);
    return {
      rejectUnauthorized: verify,
      secureContext: this.#trusted(),
      ...(name !== undefined && { servername: name }),
    };
  }

  #trusted(): SecureContext {
    const { caFile } = this.#config;
    const nowMs = this.#clock.nowMs();
    if (caFile !== undefined && nowMs >= this.#lookedMs + LOOK_MS) {
      this.#lookedMs = nowMs;
      this.#readAgain(caFile);
    }
    // Nobody is trusted before the file was read: it could be when the configuration was checked.
    this.#context ??= createSecureContext(caFile === undefined ? {} : { ca: [] });
    return this.#context;
  }

  /** Reads the file if it changed. While it cannot be read, what was trusted is trusted on. */
  #readAgain(file: string): void {
    try {
      const { mtimeMs, ino, size } = statSync(file);
      const seen = `${mtimeMs} ${ino} ${size}`;
      if (seen === this.#seen) return;
      this.#context = createSecureContext({ ca: readFileSync(file) });
      this.#seen = seen;
    } catch {
      // Between the two steps of a replacement, or gone: the next look may find it.
    }
  }
}
