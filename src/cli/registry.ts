import { InvalidArgumentError, Option } from "commander";
import { isExposed, parseSingleBind } from "../config/address.js";
import type { AddCommand, CommandContext } from "./command.js";
import { EXIT_CODE } from "./exit-code.js";
import { describeFailure } from "./failure.js";

type TcpAddress = Extract<ReturnType<typeof parseListen>, { kind: "tcp" }>;

/** The flags of `registry`. */
export interface RegistryFlags {
  readonly listen: TcpAddress;
  readonly nodeName?: string;
  readonly datacenter?: string;
}

/** Opens the catalog's HTTP API. */
export type StartRegistry = (options: {
  readonly host: string;
  readonly port: number;
  readonly nodeName?: string;
  readonly datacenter?: string;
}) => Promise<{ readonly url: string; close(): Promise<void> }>;

const HELP = `
It speaks the parts of Consul's HTTP API that registration, health, the catalog and the KV store use, holds
everything in memory and forgets it at the end. For development and tests; it has no access control.

Examples:
  $ pilotfish registry
  $ pilotfish registry --listen 127.0.0.1:0 --node-name laptop
  $ CONSUL_HTTP_ADDR=127.0.0.1:8500 pilotfish run -c pilotfish.yaml

Once it listens it prints curl commands to try.`;

/** `pilotfish registry`: a catalog with Consul's HTTP API, for development. */
export const addRegistry: AddCommand = (program, context) => {
  program
    .command("registry")
    .summary("run a small Consul-compatible catalog, for development")
    .description("Runs a catalog that speaks Consul's HTTP API, for development, until SIGTERM or SIGINT.")
    .addOption(
      new Option("--listen <host:port>", "where to listen; port 0 takes any free one")
        .argParser(parseListen)
        .default(DEFAULT_LISTEN, "127.0.0.1:8500"),
    )
    .option("--node-name <name>", "name of the node it pretends to be")
    .option("--datacenter <name>", "name of its datacenter")
    .addHelpText("after", HELP)
    .action(async (flags: RegistryFlags) =>
      context.exitWith(await runRegistry(flags, context, startRegistry)),
    );
};

/** Serves until a signal. Answers the exit code. */
export async function runRegistry(
  { listen, ...names }: RegistryFlags,
  { terminal }: Pick<CommandContext, "terminal">,
  start: StartRegistry,
): Promise<number> {
  let registry: Awaited<ReturnType<StartRegistry>>;
  try {
    registry = await start({ host: listen.host, port: listen.port, ...names });
  } catch (error) {
    terminal.complain(`pilotfish: ${describeFailure(error)}`);
    return EXIT_CODE.failure;
  }
  if (isExposed(listen))
    terminal.complain(
      "pilotfish: warning: the catalog has no access control and can be reached from outside",
    );
  terminal.print(introduce(registry.url));
  await nextStop(terminal.signals);
  const cut = nextStop(terminal.signals).then(() => EXIT_CODE.failure);
  const closed = registry.close().then(
    () => EXIT_CODE.ok,
    (error: unknown) => {
      terminal.complain(`pilotfish: ${describeFailure(error)}`);
      return EXIT_CODE.failure;
    },
  );
  return Promise.race([closed, cut]);
}

const DEFAULT_LISTEN = { kind: "tcp", host: "127.0.0.1", port: 8_500 } as const;

function parseListen(text: string): { readonly kind: "tcp"; readonly host: string; readonly port: number } {
  const parsed = parseSingleBind(text);
  if (!parsed.ok) throw new InvalidArgumentError(`Expected ${parsed.expected}.`);
  if (parsed.value.kind !== "tcp") throw new InvalidArgumentError("Expected host:port.");
  return parsed.value;
}

const startRegistry: StartRegistry = async (options) => {
  const registry = await import("../dev/registry-server.js");
  return registry.startRegistry(options);
};

function introduce(url: string): string {
  return `catalog at ${url}, Ctrl-C ends it. To try, in another terminal:

  # registers an instance with a TTL check, passes the check, looks the instance up, takes it out again
  curl -X PUT ${url}/v1/agent/service/register -d '{"Name": "web", "ID": "web1", "Address": "127.0.0.1", "Port": 5001, "Check": {"TTL": "30s"}}'
  curl -X PUT ${url}/v1/agent/check/pass/service:web1
  curl '${url}/v1/health/service/web?passing'
  curl -X PUT ${url}/v1/agent/service/deregister/web1`;
}

/** The next SIGTERM or SIGINT. */
function nextStop(signals: CommandContext["terminal"]["signals"]): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      signals.off("SIGTERM", onSignal);
      signals.off("SIGINT", onSignal);
      resolve();
    };
    signals.on("SIGTERM", onSignal);
    signals.on("SIGINT", onSignal);
  });
}
