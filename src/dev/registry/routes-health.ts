import type { CatalogStore } from "./catalog-store.js";
import type { Exchange, Reply } from "./exchange.js";
import { compileFilter } from "./filter.js";
import { checkSchema, instanceSchema } from "./filter-schema.js";
import { nodeMetaTest } from "./node-meta.js";
import type { Route } from "./router.js";
import { type CheckShape, healthService, type InstanceShape, type NodeShape } from "./shapes.js";

/** How many different cached questions are remembered for the X-Cache header. */
const maxCachedQuestions = 1024;

/** Routes that list instances and checks by health. */
export function healthRoutes(catalog: CatalogStore): Route[] {
  const cachedQuestions = new Set<string>();
  const checkList = (
    missing: string,
    select: (name: string) => (entry: { readonly node: NodeShape; readonly check: CheckShape }) => boolean,
  ) => ({ GET: (exchange: Exchange) => listChecks(catalog, exchange, select(exchange.required(missing))) });
  return [
    {
      path: "/v1/health/service/",
      methods: { GET: (exchange) => listInstances(catalog, exchange, cachedQuestions) },
    },
    {
      path: "/v1/health/state/",
      methods: checkList(
        "Missing check state",
        (state) =>
          ({ check }) =>
            state === "any" || check.Status === state,
      ),
    },
    {
      path: "/v1/health/checks/",
      methods: checkList(
        "Missing service name",
        (name) =>
          ({ check }) =>
            check.ServiceName.toLowerCase() === name.toLowerCase(),
      ),
    },
    {
      path: "/v1/health/node/",
      methods: checkList(
        "Missing node name",
        (name) =>
          ({ node }) =>
            node.Node.toLowerCase() === name.toLowerCase(),
      ),
    },
  ];
}

function cacheHeaders(exchange: Exchange, name: string, seen: Set<string>): Record<string, string> {
  if (!exchange.query.has("cached")) return {};
  const question = `${name}?${exchange.query.getAll("tag")}&${exchange.query.get("filter")}`;
  const isHit = seen.has(question);
  if (!isHit && seen.size < maxCachedQuestions) seen.add(question);
  return isHit ? { "X-Cache": "HIT", Age: "0" } : { "X-Cache": "MISS" };
}

/** Tags are compared without case; every one asked for must be there. */
function hasTags(instance: InstanceShape, tags: readonly string[]): boolean {
  const own = instance.Service.Tags.map((tag) => tag.toLowerCase());
  return tags.every((tag) => own.includes(tag.toLowerCase()));
}

async function listInstances(catalog: CatalogStore, exchange: Exchange, seen: Set<string>): Promise<Reply> {
  const name = exchange.required("Missing service name");
  const tags = exchange.query.getAll("tag");
  const onlyPassing = exchange.flag("passing");
  const metaAccepts = nodeMetaTest(exchange.query);
  return exchange.blocking(
    () => catalog.serviceIndex(name, true),
    (headers) => {
      const accepts = compileFilter(exchange.query.get("filter") ?? "", instanceSchema);
      const kept = catalog
        .instances(name)
        .filter((instance) => metaAccepts(instance.Node) && hasTags(instance, tags) && accepts(instance))
        .filter((instance) => !onlyPassing || instance.Checks.every((check) => check.Status === "passing"))
        .map((instance) => ({ ...instance, Service: healthService(instance.Service) }));
      return exchange.json(kept, { ...headers, ...cacheHeaders(exchange, name, seen) });
    },
  );
}

async function listChecks(
  catalog: CatalogStore,
  exchange: Exchange,
  isWanted: (entry: { readonly node: NodeShape; readonly check: CheckShape }) => boolean,
): Promise<Reply> {
  const metaAccepts = nodeMetaTest(exchange.query);
  return exchange.blocking(
    () => catalog.checksIndex,
    (headers) => {
      const accepts = compileFilter(exchange.query.get("filter") ?? "", checkSchema);
      const kept = catalog
        .allChecks()
        .filter((entry) => isWanted(entry) && metaAccepts(entry.node) && accepts(entry.check));
      return exchange.json(
        kept.map(({ check }) => check),
        headers,
      );
    },
  );
}
