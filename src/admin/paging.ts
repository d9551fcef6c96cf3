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
  const placed = [...items].map((item) => ({ item, position: positionOf(item) }));
  placed.sort((a, b) => compare(a.position, b.position));
  const begin = after === undefined ? 0 : placed.findIndex(({ position }) => compare(position, after) > 0);
  const rest = begin < 0 ? [] : placed.slice(begin);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  return {
    items: page.map(({ item }) => item),
    nextPageToken: rest.length > size && last !== undefined ? writeToken(last.position, question) : "",
    totalSize: placed.length,
  };
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
