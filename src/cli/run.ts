import { type LoadResult, loadConfig } from "../config/load.js";
import type { Config } from "../config/model.js";
import { HANDOVER_VARIABLE } from "../handover/message.js";
import { keepYoungHeapSmall } from "../platform/young-heap.js";
import { preloadRequestPath } from "../preload.js";
import type { AddCommand, CommandContext } from "./command.js";
import { EXIT_CODE } from "./exit-code.js";
import { describeFailure } from "./failure.js";
import { complainOf, warnOf } from "./problems.js";
import { type RunnableApp, supervise } from "./supervise.js";

/** The flags of `run`; each wins over the file. */
export interface RunFlags {
  readonly config: string;
  readonly logLevel?: string;
  readonly adminGrpc?: string;
  readonly adminHttp?: string;
}

/** Builds the program from a configuration. */
export type CreateApp = (
  config: Config,
  options: {
    readonly configFile: string;
    readonly version: string;
    readonly readConfig: () => Promise<LoadResult>;
  },
) => Promise<RunnableApp>;

const HELP = `
Signals:
  SIGTERM, SIGINT  announce "not ready", go on for shutdown.grace, close the listeners, let open work
                   end until shutdown.deadline, exit 0; a second one ends at once, exit 1
  SIGHUP           read the configuration file again: put in force whole, or not at all; open the access
                   log's file anew
  SIGUSR2          start this command anew with the same listening sockets; once the new process
                   serves, this one finishes what is open and ends. No connection is refused

Environment:
  \${NAME} in the file takes from the environment. Where the file says nothing of Consul, these do, as
  for the consul command: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_AUTH,
  CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY,
  CONSUL_TLS_SERVER_NAME, CONSUL_NAMESPACE, CONSUL_PARTITION.

Examples:
  $ pilotfish run -c pilotfish.yaml
  $ CONSUL_HTTP_ADDR=10.0.0.5:8500 pilotfish run -c pilotfish.yaml --log-level debug
  $ pilotfish run -c pilotfish.yaml --admin-grpc unix:/run/pilotfish/admin.sock --admin-http off`;

/** `pilotfish run`: the proxy, in the foreground, until a signal. */
export const addRun: AddCommand = (program, context) => {
  program
    .command("run")
    .summary("run the proxy")
    .description("Runs the proxy in the foreground until SIGTERM or SIGINT.")
    .requiredOption("-c, --config <file>", "the configuration, YAML")
    .option("--log-level <level>", "in place of log.level: trace, debug, info, warn, error or silent")
    .option("--admin-grpc <address>", "in place of the address of admin.grpc: host:port, unix:/path or off")
    .option("--admin-http <address>", "in place of the address of admin.http: host:port, unix:/path or off")
    .addHelpText("after", HELP)
    .action(async (flags: RunFlags) => context.exitWith(await run(flags, context, createApp)));
};

/** Reads the configuration and runs until told to stop. Answers the exit code. */
export async function run(
  { config: file, ...overrides }: RunFlags,
  { terminal, version }: Pick<CommandContext, "terminal" | "version">,
  create: CreateApp,
): Promise<number> {
  keepYoungHeapSmall();
  const readConfig = () => loadConfig(file, { env: terminal.env, overrides });
  const result = await readConfig();
  if (!result.ok) {
    complainOf(result.problems, file, terminal);
    return EXIT_CODE.usage;
  }
  warnOf(result, terminal);
  let app: RunnableApp;
  try {
    app = await create(result.config, { configFile: file, version, readConfig });
  } catch (error) {
    terminal.complain(`pilotfish: ${describeFailure(error)}`);
    return EXIT_CODE.failure;
  }
  return supervise(app, terminal);
}

/** The proxy's own code is loaded only once the configuration is known to be good. */
const createApp: CreateApp = async (config, options) => {
  await preloadRequestPath();
  const { App } = await import("../app.js");
  const { Inherited } = await import("../handover/inherited.js");
  const { Predecessor } = await import("../handover/predecessor.js");
  const inherited = Inherited.of(process.env, process.pid);
  if (process.send === undefined || process.env[HANDOVER_VARIABLE] === undefined) {
    return new App(config, { ...options, inherited });
  }
  return new App(config, { ...options, inherited, predecessor: new Predecessor(process) });
};
