import { loadWhole } from "./platform/whole-code.js";

/**
 * Loads what a request and the failure of a backend run through, compiled whole, so that the first failure costs no
 * more than the next. To be called before anything else loads the same modules. They draw in no package: those would
 * be compiled whole too, for 5 MiB more.
 */
export function preloadRequestPath(): Promise<void> {
  return loadWhole(() =>
    Promise.all([
      import("./core/pool.js"),
      import("./proxy/http1/http1-protocol.js"),
      import("./proxy/tcp/tcp-session.js"),
      import("./control/health-watch.js"),
      import("./control/pool-log.js"),
      import("./admin/event-journal.js"),
    ]),
  );
}
