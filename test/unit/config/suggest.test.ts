import { expect, it } from "vitest";
import { suggest } from "../../../src/config/suggest.js";

it.each([
  ["leastcon", ["leastconn", "roundrobin"], "leastconn"],
  ["LeastConn", ["leastconn", "roundrobin"], "leastconn"],
  ["max_connections", ["maxHeaders", "maxConnections"], "maxConnections"],
  ["wbe", ["web", "api"], "web"],
  ["protcol", ["pool", "protocol"], "protocol"],
  ["tiemout", ["timeout", "timeouts"], "timeout"],
  ["inof", ["info", "warn"], "info"],
  ["zzz", ["web", "api"], undefined],
  ["x", ["warn"], undefined],
  ["", ["web"], undefined],
])("for %j among %j it is %j", (written, candidates, expected) => {
  expect(suggest(written, candidates)).toBe(expected);
});
