/** A request that is answered with a status and a line of text instead of a value. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text);
    this.name = "HttpProblem";
    this.status = status;
    this.headers = headers;
  }
}
