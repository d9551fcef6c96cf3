import { expect, it } from "vitest";
import { httpDate } from "../../../src/platform/http-date.js";

it("tells whole seconds, each in the form that fields have them", () => {
  const start = Date.UTC(1994, 10, 6, 8, 49, 37);
  expect(httpDate(start)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(start + 999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(start + 1_000)).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
  expect(httpDate(start)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
});
