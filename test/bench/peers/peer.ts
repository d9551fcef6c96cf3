import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

/** What a proxy is given to stand between. */
export interface PeerSetting {
  /** Own empty directory, for configuration, logs and output. */
  readonly directory: string;
  readonly httpBackends: readonly number[];
  /** A file that lists the HTTP backends and changes, instead. */
  readonly endpointsFile: string | undefined;
  readonly echoBackends: readonly number[];
  /** Access logs: undefined for none; the file they must reach, and a datagram port that leads to a file as well. */
  readonly accessLog: { readonly file: string; readonly datagramPort: number } | undefined;
}

/** A started proxy that accepts connections. The caller stops the process. */
export interface RunningPeer {
  readonly child: ChildProcess;
  readonly httpPort: number;
  /** Undefined where it speaks HTTP only. */
  readonly tcpPort: number | undefined;
}

/** One proxy of the comparison. */
export interface Peer {
  readonly name: string;
  /** Version for the header of the table; undefined when it is not installed. */
  version(): string | undefined;
  start(setting: PeerSetting): Promise<RunningPeer>;
}

/** Fills `@NAME@` places of a configuration file that lies beside the peers and writes it to `target`. */
export function writeConfiguration(
  template: string,
  values: Readonly<Record<string, string | number>>,
  target: string,
): void {
  const text = readFileSync(new URL(template, import.meta.url), "utf8");
  const filled = text.replace(/@([A-Z_]+)@/g, (place, name: string) => String(values[name] ?? place));
  writeFileSync(target, filled);
}
