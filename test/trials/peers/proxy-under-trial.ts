/** An instance as the catalog lists it. */
export interface Listed {
  readonly id: string;
  readonly httpPort: number;
  readonly echoPort: number;
  /** Takes work only while no other does. */
  readonly isBackup?: boolean;
}

/** How a proxy is set up for a trial. */
export interface TrialSetting {
  /** For files; the caller removes it. */
  readonly folder: string;
  readonly listed: readonly Listed[];
  /** Whether clients are bound to a backend by a cookie. */
  readonly isSticky: boolean;
  /** Whether backends are probed. */
  readonly isChecked: boolean;
  /** Whether everything is set for backends that go wrong: `CADENCE` and `RETRY_ON`. */
  readonly isWary: boolean;
}

/** What both are given where backends go wrong, in ms: how often to look, how long to wait, and after how many errors to act. */
export const CADENCE = {
  intervalMs: 1_000,
  fastMs: 10,
  downMs: 10,
  checkTimeoutMs: 250,
  /** Longest silence of a backend, which answers in 10 ms when it is well. */
  serverMs: 250,
  fall: 2,
  rise: 1,
  errors: 3,
  /** Where a refused connection can be told from other errors: nobody listens there. */
  refusals: 1,
} as const;

/** What a request is tried again after, in words that both have; neither sends a POST twice. */
export const RETRY_ON = ["conn-failure", "empty-response", "response-timeout", 500, 503] as const;

/** From when on a backend took so much of its work, as `share` has it. */
export interface ShareChange {
  /** By the proxy's own word: milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly share: number;
}

/** A proxy that is watched while its backends, or it itself, are replaced. */
export interface ProxyUnderTrial {
  readonly httpPort: number;
  readonly tcpPort: number;
  /** The catalog lists exactly these from now on; resolves once the proxy has taken it up. */
  list(listed: readonly Listed[]): Promise<void>;
  /** 0 to 256. */
  weigh(id: string, weight: number): Promise<void>;
  /** No new work; what is bound to it stays. */
  drain(id: string): Promise<void>;
  ready(id: string): Promise<void>;
  /** What a backend takes of the work it was meant for: 1 as listed, less when demoted, 0 when it takes none. */
  share(id: string): Promise<number>;
  /** Notes the changes of a backend's share from now on; the list grows. */
  watch(id: string): Promise<readonly ShareChange[]>;
  /** Reads its configuration again, which differs in a timeout each time. */
  reload(): Promise<void>;
  /** Puts a new process in its place. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A kind of proxy that can be tried. */
export interface TrialPeer {
  readonly name: string;
  /** Undefined where it is not installed. */
  version(): string | undefined;
  start(setting: TrialSetting): Promise<ProxyUnderTrial>;
}
