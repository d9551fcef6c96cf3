import type { Backend as CoreBackend } from "../core/backend.js";
import type { Pool as CorePool } from "../core/pool.js";
import type { UnaryMethod } from "./calls.js";
import type {
  ListBackendsRequest,
  ListBackendsResponse,
  ListPoolsRequest,
  ListPoolsResponse,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { Messages } from "./messages.js";
import { backendNamed, poolsNamed } from "./naming.js";
import { paginate } from "./paging.js";
import type { AdminPorts } from "./ports.js";

/** ListPools and ListBackends. */
export interface ListingMethods {
  readonly listPools: UnaryMethod<ListPoolsRequest, ListPoolsResponse>;
  readonly listBackends: UnaryMethod<ListBackendsRequest, ListBackendsResponse>;
}

interface Place {
  readonly pool: CorePool;
  readonly backend: CoreBackend;
}

/** Builds the methods that list. */
export function listingMethods(ports: AdminPorts, messages: Messages): ListingMethods {
  return {
    listPools: (request) => {
      const page = paginate(ports.pools.values(), (pool) => pool.name, request, "pools");
      return {
        pools: page.items.map((pool) => messages.pool(pool)),
        nextPageToken: page.nextPageToken,
        totalSize: page.totalSize,
      };
    },
    listBackends: (request) => {
      const { eligible } = request;
      const places = placesOf(ports, request).filter(
        ({ backend }) => eligible === undefined || backend.isEligible === eligible,
      );
      const question = JSON.stringify([request.pool, request.backend, eligible ?? "any"]);
      // No name of a pool holds a NUL, so pools never mix.
      const page = paginate(places, ({ pool, backend }) => `${pool.name}\0${backend.id}`, request, question);
      return {
        backends: page.items.map(({ pool, backend }) => messages.backend(pool, backend)),
        nextPageToken: page.nextPageToken,
        totalSize: page.totalSize,
      };
    },
  };
}

function placesOf(ports: AdminPorts, request: ListBackendsRequest): Place[] {
  if (request.backend === "") {
    return poolsNamed(ports.pools, request.pool).flatMap((pool) =>
      [...pool.backends()].map((backend) => ({ pool, backend })),
    );
  }
  return backendNamed(ports.pools, request).flatMap(({ pool, backends }) =>
    backends.map((backend) => ({ pool, backend })),
  );
}
