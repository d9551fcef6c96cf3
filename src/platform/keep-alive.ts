/**
 * Keeps the process alive while nothing else does: the program's own timers never do, and with all its sockets
 * closed it would end in the middle of a stop. Answers how to let go.
 */
export function keepAlive(): () => void {
  const interval = setInterval(() => {}, 0x7fff_ffff);
  return () => clearInterval(interval);
}
