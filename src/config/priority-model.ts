/** Where the requests of a listener or a route stand among those who wait. */
export interface PriorityConfig {
  /** A lower class is served first; -2047 to 2047. */
  readonly class: number;
  /** Within a class they count as having come so much later; below 0 so much earlier. */
  readonly offsetMs: number;
  /** The field of a request from a trusted network that says its class, in lower case; undefined for none. */
  readonly header: string | undefined;
}
