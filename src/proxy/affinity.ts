import type { KeyConfig } from "../config/balance-model.js";
import { hashText } from "../core/hash.js";
import type { Wish } from "../core/wish.js";
import type { ClientFacts, RequestHead } from "./message.js";
import { keyOf } from "./request-key.js";

/** A wish that is still being made. */
export interface OpenWish extends Wish {
  hash: number | undefined;
}

/** Request path. What of a request decides where it goes, in a pool whose balancer goes by a key. */
export class Affinity {
  readonly #hashKey: KeyConfig;

  constructor(hashKey: KeyConfig) {
    this.#hashKey = hashKey;
  }

  /** Puts into the wish what a request says of its backend. */
  begin(wish: OpenWish, head: RequestHead, client: ClientFacts): void {
    const key = keyOf(this.#hashKey, head, client);
    if (key !== undefined) wish.hash = hashText(key);
  }

  /** As `begin`, for a connection of which nothing but its client is known. */
  beginTunnel(wish: OpenWish, clientAddress: string): void {
    if (this.#hashKey.on === "source" && clientAddress !== "") wish.hash = hashText(clientAddress);
  }
}
