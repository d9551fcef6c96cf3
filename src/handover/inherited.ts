import { closeSync } from "node:fs";
import type { SocketAddressConfig } from "../config/model.js";
import { formatSocketAddress } from "../proxy/bind.js";
import type { InheritedSocket, InheritedSockets } from "../proxy/listener.js";
import { HANDOVER_VARIABLE, type HandedSocket } from "./message.js";

/** What is read of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** First descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_SYSTEMD_FD = 3;

/** A socket that somebody opened for this process; systemd names no address. */
interface Offer extends InheritedSocket {
  readonly listener: string;
  readonly address: string | undefined;
}

/**
 * Listening sockets this process was given: by the process whose place it takes, or by systemd's socket activation,
 * where the unit's `FileDescriptorName=` is the name of the listener.
 */
export class Inherited implements InheritedSockets {
  readonly #offers: Offer[];

  constructor(offers: readonly Offer[]) {
    this.#offers = [...offers];
  }

  /** Reads what was offered. Throws an Error where the environment makes no sense. */
  static of(env: Environment, pid: number): Inherited {
    const handed = env[HANDOVER_VARIABLE];
    if (handed !== undefined && handed !== "") return new Inherited(parseHanded(handed));
    return new Inherited(systemdOffers(env, pid));
  }

  /** How many are left. */
  get size(): number {
    return this.#offers.length;
  }

  take(listener: string, address: SocketAddressConfig): InheritedSocket | undefined {
    const wanted = formatSocketAddress(address);
    const index = this.#offers.findIndex((offer) => {
      // Numbers of descriptors count between systemd and the process it started, not from process to process.
      if (offer.address === undefined && address.kind === "fd") return offer.fd === address.fd;
      return offer.listener === listener && (offer.address === undefined || offer.address === wanted);
    });
    return index < 0 ? undefined : this.#offers.splice(index, 1)[0];
  }

  /** Gives up what nobody took, so that no client waits in a queue that is never read. */
  closeRest(): readonly string[] {
    return this.#offers.splice(0).map(({ listener, address, fd }) => {
      closeSync(fd);
      return address === undefined ? listener : `${listener} ${address}`;
    });
  }
}

function parseHanded(text: string): readonly HandedSocket[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list) || !list.every(isHandedSocket)) {
    throw new Error(`${HANDOVER_VARIABLE} is not a list of sockets`);
  }
  return list;
}

function isHandedSocket(value: unknown): value is HandedSocket {
  if (typeof value !== "object" || value === null) return false;
  const { listener, address, fd, isManaged } = value as Partial<Record<keyof HandedSocket, unknown>>;
  return (
    typeof listener === "string" &&
    typeof address === "string" &&
    Number.isSafeInteger(fd) &&
    typeof isManaged === "boolean"
  );
}

/** `LISTEN_PID` says whom they are for: a child of that process would inherit the variables too. */
function systemdOffers(env: Environment, pid: number): readonly Offer[] {
  if (env.LISTEN_PID !== String(pid)) return [];
  const count = Number(env.LISTEN_FDS ?? "0");
  if (!Number.isSafeInteger(count) || count < 0) throw new Error("LISTEN_FDS is not a number of descriptors");
  const names = (env.LISTEN_FDNAMES ?? "").split(":");
  return Array.from({ length: count }, (_none, index) => ({
    listener: names[index] ?? "",
    address: undefined,
    fd: FIRST_SYSTEMD_FD + index,
    isManaged: true,
  }));
}
