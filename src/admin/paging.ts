import { invalid } from "./refusal.js";

const DEFAULT_PAGE_SIZE = 100;
const GREATEST_PAGE_SIZE = 1000;

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
  /** Of all pages. */
  readonly totalSize: number;
}

/**
 * Cuts one page out of a list. Items are ordered by a position that does not change, and a token names the
 * last position of its page, so that what joins or leaves between two pages moves nothing else. A token only
 * continues the question it came from.
 *
 * @param question everything that selects items; part of the token.
 */
export function paginate<Item>(
  items: Iterable<Item>,
  positionOf: (item: Item) => string,
  request: { readonly pageSize: number; readonly pageToken: string },
  question: string,
): Page<Item> {
  if (request.pageSize > GREATEST_PAGE_SIZE) {
    throw invalid("page_size", `must be 0 to ${GREATEST_PAGE_SIZE}, found ${request.pageSize}`);
  }
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const after = request.pageToken === "" ? undefined : readToken(request.pageToken, question);
  const rest = new Smallest<Item>(size + 1);
  let totalSize = 0;
  for (const item of items) {
    totalSize++;
    const position = positionOf(item);
    if (after === undefined || position > after) rest.add(item, position);
  }
  const found = rest.sorted();
  const last = found[size - 1];
  return {
    items: found.slice(0, size).map(({ item }) => item),
    nextPageToken: found.length > size && last !== undefined ? writeToken(last.position, question) : "",
    totalSize,
  };
}

interface Placed<Item> {
  readonly item: Item;
  readonly position: string;
}

/** Those with the smallest positions of many, without sorting all of them. */
class Smallest<Item> {
  readonly #most: number;
  #kept: Placed<Item>[] = [];
  /** Whatever is not below it cannot be among them. */
  #bound: string | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  add(item: Item, position: string): void {
    if (this.#bound !== undefined && position >= this.#bound) return;
    this.#kept.push({ item, position });
    if (this.#kept.length < 2 * this.#most) return;
    this.#kept = this.sorted();
    this.#bound = this.#kept.at(-1)?.position;
  }

  sorted(): Placed<Item>[] {
    this.#kept.sort((a, b) => compare(a.position, b.position));
    return this.#kept.slice(0, this.#most);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function writeToken(position: string, question: string): string {
  return Buffer.from(JSON.stringify([question, position])).toString("base64url");
}

function readToken(token: string, question: string): string {
  const parts = parse(Buffer.from(token, "base64url").toString());
  if (!Array.isArray(parts) || parts.length !== 2 || typeof parts[1] !== "string") {
    throw invalid("page_token", "must be the next_page_token of an earlier answer");
  }
  if (parts[0] !== question)
    throw invalid("page_token", "belongs to another question; ask for the first page");
  return parts[1];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
