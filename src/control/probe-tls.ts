import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { CheckTlsConfig } from "../config/health-model.js";

/** TLS of a check, ready to connect with. */
export class ProbeTls {
  readonly #config: CheckTlsConfig;

  constructor(config: CheckTlsConfig) {
    this.#config = config;
  }

  /** Options of a connection to this host. An address is no server name (RFC 6066 section 3). */
  optionsFor(host: string): ConnectionOptions {
    const { serverName, verify } = this.#config;
    const name = serverName ?? (isIP(host) === 0 ? host : undefined);
    return {
      rejectUnauthorized: verify,
      ...(name !== undefined && { servername: name }),
    };
  }
}
