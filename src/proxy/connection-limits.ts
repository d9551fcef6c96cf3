/** A listener with accepted connections that it may not serve yet. */
export interface RoomWaiter {
  /** There may be room: take what fits. */
  admitWaiting(): void;
}

/** How many client connections the whole process serves at once. */
export class ConnectionBudget {
  #max: number;
  readonly #waiters = new Set<RoomWaiter>();
  #open = 0;

  /** @param max 0 for no limit. */
  constructor(max: number) {
    this.#max = max;
  }

  /** 0 for no limit. */
  get max(): number {
    return this.#max;
  }

  /** Takes effect for the next connection; what is open above a lower one stays. */
  set max(value: number) {
    this.#max = value;
    this.#admitWaiting();
  }

  /** Client connections being served. */
  get open(): number {
    return this.#open;
  }

  get isFull(): boolean {
    return this.#max > 0 && this.#open >= this.#max;
  }

  take(): void {
    this.#open++;
  }

  giveBack(): void {
    this.#open--;
    this.#admitWaiting();
  }

  #admitWaiting(): void {
    for (const waiter of this.#waiters) {
      if (this.isFull) return;
      // To the end of the line, so that no listener gets all the room.
      this.#waiters.delete(waiter);
      waiter.admitWaiting();
    }
  }

  /** Asks to be told once when there is room. */
  awaitRoom(waiter: RoomWaiter): void {
    this.#waiters.add(waiter);
  }

  /** Asks no more. */
  forget(waiter: RoomWaiter): void {
    this.#waiters.delete(waiter);
  }
}

/** How many connections each client address holds on one listener. */
export class AddressLimit {
  #max: number;
  readonly #open = new Map<string, number>();

  /** @param max 0 for no limit; nothing is counted then. */
  constructor(max: number) {
    this.#max = max;
  }

  /** For the next connections: what is open above a lower limit stays, what was not counted never is. */
  limitTo(max: number): void {
    this.#max = max;
  }

  get isCounting(): boolean {
    return this.#max > 0;
  }

  /** Addresses that hold a connection. */
  get size(): number {
    return this.#open.size;
  }

  /** Counts one more; false when the address has its share already. Clients on unix sockets have no address. */
  take(address: string): boolean {
    if (!this.isCounting || address === "") return true;
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#max) return false;
    this.#open.set(address, open + 1);
    return true;
  }

  giveBack(address: string): void {
    const open = this.#open.get(address);
    if (open === undefined) return;
    if (open === 1) this.#open.delete(address);
    else this.#open.set(address, open - 1);
  }
}
