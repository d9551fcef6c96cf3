/** Why the program could not start or go on, in one line for the person at the terminal. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const reason = describeListenError(error) ?? error.message;
  const cause = error.cause instanceof Error ? describeFailure(error.cause) : "";
  return oneLine(cause === "" || reason.includes(cause) ? reason : `${reason}: ${cause}`);
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program has it",
  EADDRNOTAVAIL: "no interface of this host has the address",
  EACCES: "permission denied (ports below 1024 need a privilege)",
  EAFNOSUPPORT: "this host does not speak the address family",
};

function describeListenError(error: NodeJS.ErrnoException): string | undefined {
  const reason = error.code === undefined ? undefined : LISTEN_REASONS[error.code];
  if (reason === undefined || error.syscall !== "listen") return undefined;
  const { address, port } = error as { address?: unknown; port?: unknown };
  const host = String(address ?? "the address");
  // For a unix socket Node puts the path into `address` and leaves `port` out or at -1.
  const place =
    typeof port === "number" && port >= 0 ? `${host.includes(":") ? `[${host}]` : host}:${port}` : host;
  return `cannot listen on ${place}: ${reason}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ").trim();
}
