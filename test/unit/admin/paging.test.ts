import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { paginate } from "../../../src/admin/paging.js";

const self = (item: string) => item;

function readAll(items: readonly string[], pageSize: number): string[] {
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = paginate(items, self, { pageSize, pageToken }, "q");
    expect(page.totalSize).toBe(items.length);
    expect(page.items.length).toBeLessThanOrEqual(pageSize);
    seen.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return seen;
}

describe("paginate", () => {
  it("shows every item exactly once, whatever the page size", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.integer({ min: 1, max: 7 }), (items, pageSize) => {
        expect(readAll(items, pageSize)).toEqual([...items].sort());
      }),
    );
  });

  it("goes on after the last item when the list changed in between", () => {
    const first = paginate(["a", "c", "e"], self, { pageSize: 2, pageToken: "" }, "q");
    const pageToken = first.nextPageToken;
    expect(paginate(["b", "d", "e"], self, { pageSize: 2, pageToken }, "q").items).toEqual(["d", "e"]);
    expect(paginate([], self, { pageSize: 2, pageToken }, "q")).toEqual({
      items: [],
      nextPageToken: "",
      totalSize: 0,
    });
  });

  it("shows 100 by default and 1000 at most", () => {
    const items = Array.from({ length: 1500 }, (_, index) => String(index).padStart(4, "0"));
    expect(paginate(items, self, { pageSize: 0, pageToken: "" }, "q").items).toHaveLength(100);
    expect(paginate(items, self, { pageSize: 1000, pageToken: "" }, "q").items).toHaveLength(1000);
    expect(() => paginate(items, self, { pageSize: 1001, pageToken: "" }, "q")).toThrow(
      expect.objectContaining({
        code: status.INVALID_ARGUMENT,
        message: "page_size: must be 0 to 1000, found 1001",
      }),
    );
  });

  it.each([
    "x",
    "AAAA",
    Buffer.from("[1]").toString("base64url"),
    Buffer.from('["q",1]').toString("base64url"),
  ])("refuses the token %j", (pageToken) => {
    expect(() => paginate(["a"], self, { pageSize: 1, pageToken }, "q")).toThrow(/^page_token: must be/);
  });

  it("refuses the token of another question", () => {
    const { nextPageToken } = paginate(["a", "b"], self, { pageSize: 1, pageToken: "" }, "one");
    expect(() => paginate(["a"], self, { pageSize: 1, pageToken: nextPageToken }, "two")).toThrow(
      /^page_token: belongs to another question/,
    );
  });
});
