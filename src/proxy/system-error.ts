import { getSystemErrorName } from "node:util";

/** The error that Node makes of a failed system call, of its negative number. */
export function systemError(errno: number, syscall: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall });
}
