/** A record as it was heard on the link; names as they were written, without the dot at their end. */
export type HeardRecord =
  | (RecordHead & { readonly type: "PTR"; readonly target: string })
  | (RecordHead & {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    })
  | (RecordHead & { readonly type: "TXT"; readonly entries: readonly (readonly [string, string])[] })
  | (RecordHead & { readonly type: "A" | "AAAA"; readonly address: string });

interface RecordHead {
  readonly name: string;
  /** 0 is a goodbye (RFC 6762 section 10.1). */
  readonly ttlSeconds: number;
  /** The sender knows all records of this name and type: others are outdated (section 10.2). */
  readonly isFlush: boolean;
}

/** What the worker is started with. */
export interface WorkerSettings {
  readonly port: number;
  /** Names or addresses of interfaces; undefined for all but loopback. */
  readonly interfaces: readonly string[] | undefined;
}

/** From the worker to the source. */
export type WorkerReport =
  /** Listens on these addresses, for the first time or on others than before. None: it hears nothing. */
  | { readonly kind: "listening"; readonly addresses: readonly string[] }
  | {
      readonly kind: "heard";
      readonly sender: { readonly address: string; readonly link: string };
      readonly records: readonly HeardRecord[];
    }
  /** Packets not taken so far, by reason. */
  | { readonly kind: "counts"; readonly counts: RefusedCounts }
  | { readonly kind: "problem"; readonly reason: string };

/** Packets that were not taken, by reason. */
export interface RefusedCounts {
  /** Broken, or made to break a parser. */
  readonly malformed: number;
  /** Not from this link, or not from the port of multicast DNS. */
  readonly foreign: number;
  /** More than is taken in a second, or than the source could take at once. */
  readonly flooded: number;
}

/** From the source to the worker. */
export type WorkerOrder =
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  /** One `heard` was taken. */
  | { readonly kind: "taken" };
