const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/**
 * Request path. Writes wall times for log lines. The text of the last second is kept, since most lines of a
 * busy log fall into the same one.
 */
export class WallTime {
  readonly #render: (second: Date) => string;
  readonly #suffix: string;
  #second = Number.NaN;
  #text = "";

  private constructor(render: (second: Date) => string, suffix: string) {
    this.#render = render;
    this.#suffix = suffix;
  }

  /** `2026-11-20T10:00:00.123Z` (RFC 3339, UTC). */
  static iso(): WallTime {
    return new WallTime((second) => second.toISOString().slice(0, 20), "Z");
  }

  /** `20/Nov/2026:10:00:00.123` in the machine's time zone, as HAProxy writes `%t` and `%tr`. */
  static haproxy(): WallTime {
    return new WallTime(
      (second) =>
        `${two(second.getDate())}/${MONTHS[second.getMonth()]}/${second.getFullYear()}:${two(second.getHours())}:` +
        `${two(second.getMinutes())}:${two(second.getSeconds())}.`,
      "",
    );
  }

  /** @param wallMs milliseconds since the Unix epoch; fractions are dropped. */
  format(wallMs: number): string {
    const whole = Math.floor(wallMs);
    const second = Math.floor(whole / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = this.#render(new Date(second * 1000));
    }
    const ms = whole - second * 1000;
    const zeros = ms < 10 ? "00" : ms < 100 ? "0" : "";
    return this.#text + zeros + ms + this.#suffix;
  }
}

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}
