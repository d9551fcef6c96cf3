import { createServer } from "node:net";

/** The port if nobody has it on 127.0.0.1, otherwise 0: any free one. */
export function preferPort(port: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(0));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(port)));
  });
}
