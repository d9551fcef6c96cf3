import { Duplex } from "node:stream";

/** A socket for Node's own HTTP: what it reads is pushed by the test, what it writes goes nowhere. */
export class InjectedSocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";

  override _read(): void {}

  override _write(_: unknown, __: unknown, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }
}
