import type { NameHandle, Resolver } from "../../../../src/control/resolver.js";
import type { SourceSink, SourceStatus } from "../../../../src/control/source.js";
import type { Snapshot } from "../../../../src/core/endpoint.js";

/** Keeps what a source delivers. */
export class RecordingSink implements SourceSink {
  readonly snapshots: Snapshot[] = [];
  readonly statuses: SourceStatus[] = [];

  onSnapshot(snapshot: Snapshot): void {
    this.snapshots.push(snapshot);
  }

  onStatus(status: SourceStatus): void {
    this.statuses.push(status);
  }

  /** Each snapshot as `id=host:port` texts. */
  lists(): string[][] {
    return this.snapshots.map((snapshot) => snapshot.endpoints.map((e) => `${e.id}=${e.host}:${e.port}`));
  }

  states(): string[] {
    return this.statuses.map((status) => status.state);
  }
}

/** A resolver whose answers the test sets; hosts it has no entry for are passed as they are. */
export class FakeResolver implements Resolver {
  readonly #names = new Map<string, { addresses?: readonly string[]; failure?: string }>();
  readonly #followers = new Map<string, Set<() => void>>();

  follow(name: string, onChange: () => void): NameHandle {
    const followers = this.#followers.get(name) ?? new Set();
    const own = () => onChange();
    followers.add(own);
    this.#followers.set(name, followers);
    const isName = /[a-z]/.test(name);
    return {
      addresses: () => (isName ? this.#names.get(name)?.addresses : [name]),
      failure: () => this.#names.get(name)?.failure,
      isPending: () => isName && this.#names.get(name) === undefined,
      close: () => followers.delete(own),
    };
  }

  answer(name: string, addresses: readonly string[]): void {
    this.#names.set(name, { addresses });
    this.#tell(name);
  }

  fail(name: string, failure: string): void {
    this.#names.set(name, { ...this.#names.get(name), failure });
    this.#tell(name);
  }

  followed(): string[] {
    return [...this.#followers].filter(([, set]) => set.size > 0).map(([name]) => name);
  }

  #tell(name: string): void {
    for (const follower of this.#followers.get(name) ?? []) follower();
  }
}
