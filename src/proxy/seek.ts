import type { AccessRecord } from "./access-record.js";
import type { Stick } from "./affinity.js";
import type { BackendSearch } from "./backend-search.js";
import type { DownstreamStream, RequestHead } from "./message.js";
import type { Destination } from "./router.js";

/**
 * Request path. Tells the search what a request says of its backend in this pool, and where it stands should it have to
 * wait; answers what its affinity has left to do.
 */
export function prepareSearch(
  search: BackendSearch,
  { service, priority }: Destination,
  head: RequestHead,
  { client }: Pick<DownstreamStream, "client">,
  record: AccessRecord,
): Stick | undefined {
  record.pool = service.pool.name;
  if (priority !== undefined) search.priority = priority.of(head, client);
  return service.affinity?.begin(search, head, client, record);
}
