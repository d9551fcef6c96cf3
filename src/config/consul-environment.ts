import type { Environment } from "./environment.js";
import { isMap, type Path } from "./path.js";

/** What the environment says of Consul. */
export interface ConsulEnvironment {
  /** Values for the tree, each with the variable that gave it. */
  readonly values: readonly { readonly path: Path; readonly name: string; readonly value: unknown }[];
  /** Variables that could not be read and are no value of the tree. */
  readonly faults: readonly { readonly name: string; readonly message: string }[];
}

const PLAIN: readonly (readonly [name: string, path: Path])[] = [
  ["CONSUL_HTTP_AUTH", ["auth"]],
  ["CONSUL_NAMESPACE", ["namespace"]],
  ["CONSUL_PARTITION", ["partition"]],
  ["CONSUL_CACERT", ["tls", "ca"]],
  ["CONSUL_CLIENT_CERT", ["tls", "cert"]],
  ["CONSUL_CLIENT_KEY", ["tls", "key"]],
  ["CONSUL_TLS_SERVER_NAME", ["tls", "serverName"]],
  ["CONSUL_HTTP_SSL_VERIFY", ["tls", "verify"]],
];

/**
 * What the environment of the Consul CLI says where the file says nothing; the file wins. An empty variable counts
 * as unset, as in the CLI. `consul` is that part of the file's tree.
 */
export function readConsulEnvironment(consul: unknown, env: Environment): ConsulEnvironment {
  if (consul !== undefined && !isMap(consul)) return { values: [], faults: [] };
  const file: Readonly<Record<string, unknown>> = consul ?? {};
  const values: { path: Path; name: string; value: unknown }[] = [];
  const give = (name: string, path: Path, value: unknown) => {
    if (value !== undefined && value !== "") values.push({ path: ["consul", ...path], name, value });
  };
  give(
    env.CONSUL_HTTP_ADDR ? "CONSUL_HTTP_ADDR" : "CONSUL_HTTP_SSL",
    ["address"],
    chooseAddress(file.address, env),
  );
  // A token in the file must not lose to a token file that the environment happens to name.
  if (file.token === undefined && file.tokenFile === undefined) {
    give("CONSUL_HTTP_TOKEN", ["token"], env.CONSUL_HTTP_TOKEN);
    give("CONSUL_HTTP_TOKEN_FILE", ["tokenFile"], env.CONSUL_HTTP_TOKEN_FILE);
  }
  for (const [name, path] of PLAIN) {
    const [first = "", second] = path;
    const part = file[first];
    const isInFile =
      second === undefined
        ? part !== undefined
        : isMap(part)
          ? part[second] !== undefined
          : part !== undefined;
    if (!isInFile) give(name, path, name === "CONSUL_HTTP_SSL_VERIFY" ? asBoolean(env[name]) : env[name]);
  }
  const ssl = asBoolean(env.CONSUL_HTTP_SSL);
  const message = `found ${JSON.stringify(ssl)}, expected true or false`;
  return { values, faults: typeof ssl === "string" ? [{ name: "CONSUL_HTTP_SSL", message }] : [] };
}

/**
 * The address, when the environment has a say in it. CONSUL_HTTP_SSL turns http into https, as in the CLI, except
 * where the file writes the scheme.
 */
function chooseAddress(fromFile: unknown, env: Environment): unknown {
  const isSsl = asBoolean(env.CONSUL_HTTP_SSL) === true;
  if (fromFile !== undefined) {
    const hasScheme = typeof fromFile !== "string" || /^([a-z][a-z0-9+.-]*:\/\/|unix:)/i.test(fromFile);
    return isSsl && !hasScheme ? `https://${fromFile}` : undefined;
  }
  const address = env.CONSUL_HTTP_ADDR;
  if (!isSsl) return address;
  if (address === undefined || address === "") return "https://127.0.0.1:8500";
  if (address.startsWith("unix:")) return address;
  return `https://${address.replace(/^https?:\/\//i, "")}`;
}

/** The words Go's strconv.ParseBool takes, which is what the Consul CLI reads with; others come back as they are. */
function asBoolean(text: string | undefined): boolean | string | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return text;
}
