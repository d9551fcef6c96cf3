import { readDeregistration, readRegistration } from "./catalog-requests.js";
import type { CatalogStore } from "./catalog-store.js";
import type { Exchange, Reply } from "./exchange.js";
import { compileFilter } from "./filter.js";
import { catalogServiceSchema, nodeSchema } from "./filter-schema.js";
import { HttpProblem } from "./http-problem.js";
import { nodeMetaTest } from "./node-meta.js";
import type { Route } from "./router.js";
import { catalogService, healthService } from "./shapes.js";

/** Routes that list and write the catalog itself. */
export function catalogRoutes(catalog: CatalogStore, datacenter: string): Route[] {
  return [
    {
      path: "/v1/catalog/datacenters",
      methods: { GET: (exchange) => exchange.json([datacenter]) },
    },
    { path: "/v1/catalog/nodes", methods: { GET: (exchange) => listNodes(catalog, exchange) } },
    { path: "/v1/catalog/services", methods: { GET: (exchange) => listServices(catalog, exchange) } },
    { path: "/v1/catalog/service/", methods: { GET: (exchange) => listInstances(catalog, exchange) } },
    { path: "/v1/catalog/node/", methods: { GET: (exchange) => getNode(catalog, exchange) } },
    {
      path: "/v1/catalog/register",
      methods: { PUT: (exchange) => register(catalog, datacenter, exchange) },
    },
    { path: "/v1/catalog/deregister", methods: { PUT: (exchange) => deregister(catalog, exchange) } },
  ];
}

async function listNodes(catalog: CatalogStore, exchange: Exchange): Promise<Reply> {
  const metaAccepts = nodeMetaTest(exchange.query);
  return exchange.blocking(
    () => catalog.nodesIndex,
    (headers) => {
      const accepts = compileFilter(exchange.query.get("filter") ?? "", nodeSchema);
      return exchange.json(
        catalog.nodes().filter((node) => metaAccepts(node) && accepts(node)),
        headers,
      );
    },
  );
}

async function listServices(catalog: CatalogStore, exchange: Exchange): Promise<Reply> {
  const metaAccepts = nodeMetaTest(exchange.query);
  const hasMeta = exchange.query.has("node-meta");
  const indexOf = () =>
    hasMeta ? Math.max(catalog.nodesIndex, catalog.servicesIndex) : catalog.servicesIndex;
  return exchange.blocking(indexOf, (headers) => {
    const tagsByName = new Map<string, Set<string>>();
    for (const { node, service } of catalog.allInstances()) {
      if (!metaAccepts(node)) continue;
      const tags = tagsByName.get(service.Service) ?? new Set();
      for (const tag of service.Tags) tags.add(tag);
      tagsByName.set(service.Service, tags);
    }
    const names = [...tagsByName.keys()].sort();
    return exchange.json(
      Object.fromEntries(names.map((name) => [name, [...(tagsByName.get(name) ?? [])]])),
      headers,
    );
  });
}

async function listInstances(catalog: CatalogStore, exchange: Exchange): Promise<Reply> {
  const name = exchange.required("Missing service name");
  const tags = exchange.query.getAll("tag").map((tag) => tag.toLowerCase());
  const metaAccepts = nodeMetaTest(exchange.query);
  return exchange.blocking(
    () => catalog.serviceIndex(name, false),
    (headers) => {
      const accepts = compileFilter(exchange.query.get("filter") ?? "", catalogServiceSchema);
      const kept = catalog
        .instances(name)
        .filter(({ Node }) => metaAccepts(Node))
        .filter(({ Service }) => tags.every((tag) => Service.Tags.some((own) => own.toLowerCase() === tag)))
        .map(({ Node, Service }) => catalogService(Node, Service))
        .filter(accepts);
      return exchange.json(kept, headers);
    },
  );
}

async function getNode(catalog: CatalogStore, exchange: Exchange): Promise<Reply> {
  const name = exchange.required("Missing node name");
  const indexOf = () =>
    catalog.node(name) === undefined ? 0 : Math.max(catalog.nodesIndex, catalog.servicesIndex);
  return exchange.blocking(indexOf, (headers) => {
    const found = catalog.node(name);
    if (found === undefined) return exchange.json(null, headers);
    const services = found.services.map((service) => [service.ID, healthService(service)]);
    return exchange.json({ Node: found.node, Services: Object.fromEntries(services) }, headers);
  });
}

async function register(catalog: CatalogStore, datacenter: string, exchange: Exchange): Promise<Reply> {
  const registration = await exchange.decode((body) => readRegistration(body, datacenter));
  try {
    catalog.register(registration);
  } catch (error) {
    throw new HttpProblem(500, error instanceof Error ? error.message : String(error));
  }
  return exchange.json(true);
}

async function deregister(catalog: CatalogStore, exchange: Exchange): Promise<Reply> {
  const { node, serviceId, checkId } = await exchange.decode(readDeregistration);
  if (serviceId !== "") catalog.deregisterService(node, serviceId);
  else if (checkId !== "") catalog.deregisterCheck(node, checkId);
  else catalog.deregisterNode(node);
  return exchange.json(true);
}
