import { constants, watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

/** How a file source sees the file system, replaced in tests. */
export interface WatchedFileAccess {
  /**
   * The content, or why there is none. `previous` is the mark of the content in hand: when the file still
   * carries it, `unchanged` is the answer and nothing is read.
   */
  read(path: string, bytesMax: number, previous: string | undefined): Promise<FileReading>;
  /**
   * Calls back when something happened to the file, or may have. Watches the directory, since a file that is
   * replaced by a rename is another one. `onEnd` is called at most once, when nothing more will be noticed.
   * Throws when the directory cannot be watched.
   */
  watch(path: string, onEvent: () => void, onEnd: () => void): { close(): void };
  /** Identity of the directory the file lies in, since a watch stays with a directory that was replaced. */
  directoryMark(path: string): Promise<string | undefined>;
}

/** Text of a file, or why it cannot be read. */
export type FileReading =
  | { readonly kind: "content"; readonly text: string; readonly mark: string }
  | { readonly kind: "unchanged" }
  | { readonly kind: "failed"; readonly problem: string };

/** The real file system. */
export const systemFileAccess: WatchedFileAccess = {
  read: readWatched,
  watch: watchDirectoryOf,
  directoryMark: markDirectoryOf,
};

async function readWatched(
  path: string,
  bytesMax: number,
  previous: string | undefined,
): Promise<FileReading> {
  try {
    // Opening a named pipe would wait for its writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat({ bigint: true });
      if (!found.isFile()) return { kind: "failed", problem: "expected a regular file" };
      const { dev, ino, size, mtimeNs, ctimeNs } = found;
      if (size > BigInt(bytesMax)) {
        return { kind: "failed", problem: `the file has ${size} bytes, expected at most ${bytesMax}` };
      }
      const mark = [dev, ino, size, mtimeNs, ctimeNs].join(":");
      if (mark === previous) return { kind: "unchanged" };
      return { kind: "content", text: await readWhole(file, Number(size)), mark };
    } finally {
      await file.close();
    }
  } catch (cause) {
    return { kind: "failed", problem: problemOf(cause) };
  }
}

async function readWhole(file: FileHandle, size: number): Promise<string> {
  const buffer = Buffer.allocUnsafe(size + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) return buffer.toString("utf8", 0, length);
    length += bytesRead;
    if (length > size) throw new Error("the file grew while it was read");
  }
}

function watchDirectoryOf(path: string, onEvent: () => void, onEnd: () => void): { close(): void } {
  const name = basename(path);
  const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
    // Kubernetes swaps a mounted directory by renaming `..data`, and the file's own name never shows.
    if (changed === null || changed === name || changed.startsWith("..")) onEvent();
  });
  const end = () => {
    watcher.close();
    onEnd();
  };
  watcher.once("error", end);
  return { close: () => watcher.close() };
}

function problemOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "the file does not exist";
  if (code === "EACCES" || code === "EPERM") return "the file may not be read";
  if (code === "EISDIR") return "the path is a directory, expected a file";
  return cause.message;
}

async function markDirectoryOf(path: string): Promise<string | undefined> {
  return stat(dirname(path), { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined,
  );
}
