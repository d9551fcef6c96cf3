import type { Backend } from "../../src/core/backend.js";
import type { Priority } from "../../src/core/line.js";
import type { Ticket } from "../../src/core/queue.js";

/** Someone who waits, as the world knows it. */
export interface Guest {
  readonly number: number;
  readonly priority: Priority | undefined;
  readonly arrivedMs: number;
  readonly bound: Backend | undefined;
  /** Whether its backend was lost to it while it waited: from then on it may be served by anyone. */
  isHandedBack: boolean;
  ticket: Ticket | undefined;
}

/** Whether sessions bound to a backend still go there: from the facts alone. */
function takesSessions({ facts: { discovery, check, admin, detection } }: Backend): boolean {
  return (
    discovery.state === "admitted" &&
    check.state !== "down" &&
    admin.state !== "maint" &&
    detection.state === "active"
  );
}

function comesBefore(a: Guest, b: Guest): boolean {
  const classes = (a.priority?.class ?? 0) - (b.priority?.class ?? 0);
  if (classes !== 0) return classes < 0;
  const turns = a.arrivedMs + (a.priority?.offsetMs ?? 0) - b.arrivedMs - (b.priority?.offsetMs ?? 0);
  return turns === 0 ? a.number < b.number : turns < 0;
}

/**
 * Everyone who waits in the world of chance, and the order in which they must be served: among those whom any backend
 * may serve, among those bound to one backend, and between both wherever a slot serves either. Whatever differs throws.
 */
export class WaitingRoom {
  readonly #guests = new Map<number, Guest>();
  #handedBack = 0;
  #servedAtOwn = 0;

  get length(): number {
    return this.#guests.size;
  }

  /** How many were ever handed back from the line at a backend. */
  get handedBack(): number {
    return this.#handedBack;
  }

  /** How many got the backend they stood at. */
  get servedAtOwn(): number {
    return this.#servedAtOwn;
  }

  /** Whether anybody waits whom any backend may serve. */
  get hasAnyone(): boolean {
    return [...this.#guests.values()].some(({ bound }) => bound === undefined);
  }

  guests(): readonly Guest[] {
    return [...this.#guests.values()];
  }

  /** How many are bound to a backend, and still stand there. */
  boundTo(backend: Backend): readonly Guest[] {
    return this.guests().filter((guest) => guest.bound === backend && !guest.isHandedBack);
  }

  enter(guest: Guest): void {
    this.#guests.set(guest.number, guest);
  }

  leave(guest: Guest): void {
    this.#guests.delete(guest.number);
  }

  /** Takes note of who has lost its backend. To be called before anything is judged. */
  refresh(): void {
    for (const guest of this.#guests.values()) {
      if (guest.isHandedBack || guest.bound === undefined || takesSessions(guest.bound)) continue;
      guest.isHandedBack = true;
      this.#handedBack++;
    }
  }

  /** Somebody got a slot. @param isOpenToAll whether the backend takes work of anyone */
  served(guest: Guest, backend: Backend, isOpenToAll: boolean): void {
    this.refresh();
    this.#mustWait(guest);
    const { bound, isHandedBack, number } = guest;
    if (bound !== undefined && !isHandedBack && backend !== bound)
      throw new Error(`waiter ${number}, bound to ${bound.id}, got ${backend.id}`);
    if (backend !== bound && !isOpenToAll)
      throw new Error(`waiter ${number} got ${backend.id}, not eligible`);
    for (const other of this.#guests.values()) {
      if (other === guest || other.isHandedBack || isHandedBack || !comesBefore(other, guest)) continue;
      if (other.bound === bound) throw new Error(`waiter ${number} was served before ${other.number}`);
      const isForOther = other.bound === undefined ? isOpenToAll : other.bound === backend;
      if (isForOther) throw new Error(`waiter ${number} got the slot of ${other.number} on ${backend.id}`);
    }
    if (bound !== undefined && !isHandedBack) this.#servedAtOwn++;
    this.leave(guest);
  }

  /** Somebody was sent away. */
  sentAway(guest: Guest, isAnyoneUsable: boolean): void {
    this.refresh();
    this.#mustWait(guest);
    const { number, bound, isHandedBack } = guest;
    if (isAnyoneUsable) throw new Error(`waiter ${number} was sent away though somebody takes work`);
    if (bound !== undefined && (!isHandedBack || takesSessions(bound)))
      throw new Error(`waiter ${number} was sent away though ${bound.id} takes its sessions`);
    this.leave(guest);
  }

  #mustWait(guest: Guest): void {
    if (!this.#guests.has(guest.number)) throw new Error(`waiter ${guest.number} was told of a slot it left`);
  }
}
