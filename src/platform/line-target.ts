import { close, constants, fstatSync, open, openSync, write } from "node:fs";
import type { LineTarget } from "./line-sink.js";

/** Owner may write, the group may read: access lines hold addresses and paths of people. */
const FILE_MODE = 0o640;

/** Opens a file for appending. A named pipe needs a reader; without one this fails with ENXIO. */
export async function openFile(path: string): Promise<LineTarget> {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
  return targetOf(await openDescriptor(path, flags), true);
}

/**
 * Takes a standard stream. A pipe or terminal is opened anew through /proc, which gives this sink an open file
 * of its own that can be told not to block: a write that blocks sits in one of Node's four pool threads, and
 * the process cannot exit until it returns (tried: `process.exit` hangs). The flag must not be set on the
 * stream itself, which is shared with other writers and other processes. Files and sockets are written to
 * directly: the first share their position, the second cannot be opened.
 */
export function openStream(fd: 1 | 2): LineTarget {
  const stat = fstatSync(fd);
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return targetOf(fd, false);
  try {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK;
    return targetOf(openSync(`/proc/self/fd/${fd}`, flags), true);
  } catch {
    // No /proc, or the pipe belongs to another user: the stream itself then.
    return targetOf(fd, false);
  }
}

function targetOf(fd: number, isOwned: boolean): LineTarget {
  return {
    write: (chunk, offset, done) => {
      write(fd, chunk, offset, chunk.length - offset, undefined, (error, bytes) =>
        done(error ?? undefined, bytes),
      );
    },
    close: () => {
      // What was written is with the kernel; a failed close changes nothing that could be mended.
      if (isOwned) close(fd, () => {});
    },
  };
}

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, FILE_MODE, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}
