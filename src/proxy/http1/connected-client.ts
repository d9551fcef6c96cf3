import { formatAddress } from "../../core/endpoint.js";
import type { Connection } from "../connection.js";
import type { ClientFacts } from "../message.js";

/** The client of one connection. */
export class ConnectedClient implements ClientFacts {
  readonly remoteAddress: string;
  readonly isTrusted: boolean;
  readonly scheme = "http";
  readonly #connection: Connection;

  constructor(connection: Connection, isTrusted: boolean) {
    this.#connection = connection;
    this.remoteAddress = connection.remoteAddress;
    this.isTrusted = isTrusted;
  }

  // Asked for only where a request names no host.
  get localAuthority(): string {
    const { localAddress, localPort } = this.#connection;
    return localAddress === "" ? "localhost" : formatAddress(localAddress, localPort);
  }
}
