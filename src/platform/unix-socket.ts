import { chmodSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

/** `sun_path` has 108 bytes on Linux, the last one ends the string. */
const LONGEST_PATH = 107;

/** Appended to the path while the socket is made. */
const DRAFT = "~";

/**
 * The file of a unix socket that this process made or was given. The runtime removes the path it bound when the
 * socket closes, which would take it from a process that goes on listening on the very same socket. So it is bound
 * under another name and moved into place, whole and with its mode, and who closes it decides about the path.
 */
export class SocketFile {
  readonly #path: string;
  readonly #inode: bigint | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#inode = inodeOf(path);
  }

  /** The file as it is now, made by somebody else. */
  static at(path: string): SocketFile {
    return new SocketFile(path);
  }

  /**
   * Replaces a socket that nobody answers on, and nothing else. Rejects with the system's error: `EADDRINUSE` where
   * somebody does, `ENOTSOCK` where there is a file of another kind.
   *
   * @param mode permissions; undefined leaves them to the process's umask
   * @param listen binds the path it is given; it begins to before it returns
   */
  static async listen(
    path: string,
    mode: number | undefined,
    listen: (path: string) => Promise<unknown>,
  ): Promise<SocketFile> {
    await refuseUsed(path);
    // A path too long for the other name is bound itself, and goes with its socket.
    const draft = Buffer.byteLength(path + DRAFT) > LONGEST_PATH ? path : path + DRAFT;
    remove(draft);
    await underMask(mode === undefined ? undefined : 0o177, () => listen(draft));
    if (mode !== undefined) chmodSync(draft, mode);
    if (draft !== path) renameSync(draft, path);
    return new SocketFile(path);
  }

  /** Takes the path away, unless there is another socket by now. */
  remove(): void {
    if (this.#inode !== undefined && inodeOf(this.#path) === this.#inode) remove(this.#path);
  }
}

/** The socket is made inside the call, for its owner alone, so that nobody slips in before its mode is set. */
function underMask(mask: number | undefined, make: () => Promise<unknown>): Promise<unknown> {
  if (mask === undefined) return make();
  const previous = process.umask(mask);
  try {
    return make();
  } finally {
    process.umask(previous);
  }
}

async function refuseUsed(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw Object.assign(new Error("not a socket"), { code: "ENOTSOCK" });
  if (await isAnswered(path)) throw Object.assign(new Error("address in use"), { code: "EADDRINUSE" });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(!("code" in error) || error.code !== "ECONNREFUSED"));
  });
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was gone already.
  }
}
