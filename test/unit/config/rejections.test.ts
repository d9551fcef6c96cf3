import { describe, expect, it } from "vitest";
import { configJsonSchema } from "../../../src/config/json-schema.js";
import { parseConfig } from "../../../src/config/load.js";
import { formatPath, isMap, type Path } from "../../../src/config/path.js";

/** A file in which every kind of part stands somewhere, so that any field can be broken in its place. */
const BASE = {
  consul: { tls: { cert: "c", key: "k" } },
  admin: {
    grpc: { address: "127.0.0.1:7070", tls: { cert: "c", key: "k" } },
    http: { address: "127.0.0.1:7080" },
  },
  service: { name: "web", port: 5001, check: {} },
  listeners: [
    {
      name: "front",
      bind: [{ address: "unix:/run/a.sock" }],
      pool: "web",
      priority: {},
      routes: [
        {
          match: { headers: {} },
          pools: [{ pool: "web" }],
          retries: { on: ["conn-failure"] },
          priority: {},
        },
        { pool: "web" },
      ],
    },
  ],
  pools: [
    {
      name: "web",
      discovery: { type: "consul", service: "web" },
      balance: { algorithm: "leastconn" },
      affinity: { type: "cookie", name: "S" },
      healthCheck: { type: "http", headers: {}, tls: {} },
      agentCheck: { port: 9 },
      outlierDetection: { latency: {} },
      slowStart: { window: "30s" },
      zone: { own: "a" },
      limits: { adaptive: {} },
    },
    {
      name: "fixed",
      discovery: { type: "static", endpoints: ["a:80", { address: "b:80", meta: {} }] },
      balance: { algorithm: "random" },
    },
    { name: "file", discovery: { type: "file", path: "e.yaml" } },
    { name: "names", discovery: { type: "dns", name: "web.test", record: "a", port: 80 } },
    { name: "link", discovery: { type: "dns-sd", service: "_http._tcp.local" } },
    {
      name: "ring",
      discovery: { type: "file", path: "e.yaml" },
      balance: { algorithm: "consistent-hash", on: "header", name: "x-user" },
    },
    {
      name: "table",
      discovery: { type: "file", path: "e.yaml" },
      balance: { algorithm: "maglev", on: "cookie", name: "sid" },
    },
    { name: "peak", discovery: { type: "file", path: "e.yaml" }, balance: { algorithm: "ewma" } },
    {
      name: "stuck",
      discovery: { type: "file", path: "e.yaml" },
      affinity: { type: "header", name: "X-User" },
    },
    {
      name: "stick",
      discovery: { type: "file", path: "e.yaml" },
      affinity: { type: "table", on: "query", name: "user" },
    },
  ],
};

const DURATION = "a duration with its unit";
const L = ["listeners", 0] as const;
const R = [...L, "routes", 0] as const;
const P = ["pools", 0] as const;
const AL = [...P, "limits", "adaptive"] as const;
const N = ["pools", 3, "discovery"] as const;
const G = ["admin", "grpc"] as const;
const H = ["pools", 5, "balance"] as const;
const M = ["pools", 6, "balance"] as const;
const E = ["pools", 7, "balance"] as const;
const A = ["pools", 0, "affinity"] as const;
const A2 = ["pools", 8, "affinity"] as const;
const A3 = ["pools", 9, "affinity"] as const;
const C = ["consul"] as const;
const S = ["service"] as const;
const K = [...S, "check"] as const;

/** A field, a value it must not take, and a part of what must be said. `undefined` takes the field away. */
const CASES: readonly (readonly [Path, unknown, string])[] = [
  [["version"], 2, "found 2, expected 1"],
  [["stateDir"], "", 'found "", expected the path of a folder'],
  [["threads"], 0, "found 0, expected 1"],
  [["log", "level"], "loud", 'found "loud", expected trace, debug, info, warn, error or silent'],
  [["log", "access", "format"], "xml", 'found "xml", expected json, haproxy or off'],
  [["log", "access", "to"], "pipe", "expected stdout, stderr or file:PATH"],
  [["log", "access", "to"], "file:", "expected stdout, stderr or file:PATH"],
  [["limits", "maxChecks"], 0, "from 1 to 100000"],
  [["limits", "maxConnections"], 0, "expected a whole number from 1 to 1000000"],
  [["shutdown", "grace"], 2, "such as 2s or 2ms"],
  [["shutdown", "deadline"], "long", DURATION],
  [["trustedNetworks"], "10.0.0.0/8", 'found "10.0.0.0/8", expected a list'],
  [["trustedNetworks", 0], "10.0.0.0/40", "at most /32"],
  [["startDeadline"], -1, DURATION],
  [[...C, "address"], "ftp://x", "expected http://host:port"],
  [[...C, "address"], "http://127.0.0.1:8500/v1", "without a path"],
  [[...C, "token"], "", "found a value that is not shown, expected an ACL token"],
  [[...C, "tokenFile"], 1, "expected the path of a file"],
  [[...C, "auth"], [], "found a value that is not shown, expected user:password"],
  [[...C, "datacenter"], "", "the name of a datacenter"],
  [[...C, "namespace"], {}, "the name of a namespace"],
  [[...C, "partition"], "", "the name of a partition"],
  [[...C, "tls", "ca"], "", "the path of a file"],
  [[...C, "tls"], { cert: "c" }, "consul.tls.key: missing, expected the key that belongs to cert"],
  [[...C, "tls"], { key: "k" }, "consul.tls.cert: missing, expected the certificate that belongs to key"],
  [[...C, "tls", "cert"], 1, "the path of a file"],
  [[...C, "tls", "key"], 1, "the path of a file"],
  [[...C, "tls", "serverName"], "", "a host name"],
  [[...C, "tls", "verify"], "no", 'found "no", expected true or false'],
  [[...C, "wait"], "10ms", "expected at least 1s"],
  [[...C, "emptyGrace"], "x", DURATION],
  [[...C, "coalesce"], "x", DURATION],
  [[...C, "coalesce"], "49ms", "expected at least 50ms"],
  [[...C, "coalesce"], "2001ms", "expected at most 2s"],
  [[...C, "maxConnections"], 0, "from 1 to 10000"],
  [G, "0.0.0.0:7070", "expected a loopback address or a unix socket; elsewhere"],
  [G, { address: "0.0.0.0:7070", tls: { cert: "c", key: "k" } }, "admin.grpc.address: found"],
  [G, { address: "0.0.0.0:7070", tokenFile: "t" }, "admin.grpc.address: found"],
  [G, "127.0.0.1:1-2", "one address, not a range"],
  [[...G, "address"], undefined, "missing, expected an address to listen on"],
  [[...G, "tls", "cert"], undefined, "missing, expected the path of a file"],
  [[...G, "tls", "key"], undefined, "missing, expected the path of a file"],
  [[...G, "tls", "clientCa"], 1, "the path of a file"],
  [[...G, "tokenFile"], "", "the path of a file"],
  [[...G, "insecure"], "yes", "true or false"],
  [["admin", "http"], ":7080", "expected a loopback address"],
  [["admin", "http", "address"], "0.0.0.0:7080", "or use admin.probe"],
  [["admin", "http", "insecure"], 1, "true or false"],
  [["admin", "probe"], "7081", "such as 127.0.0.1:7081"],
  [[...S, "name"], undefined, "missing, expected the name of a service"],
  [[...S, "name"], "a/b", "the name of a service"],
  [[...S, "port"], undefined, "missing, expected a whole number from 1 to 65535"],
  [[...S, "port"], 0, "from 1 to 65535"],
  [[...S, "id"], 'a"b', "an id without spaces and quotes"],
  [[...S, "address"], "0.0.0.0", "that others can connect to"],
  [[...S, "address"], "::", "that others can connect to"],
  [[...S, "address"], "10.0.0.5:80", "without a port"],
  [[...S, "address"], "10.0.0.300", "a host name or an IP address"],
  [[...S, "tags"], "v2", "expected a list"],
  [[...S, "tags", 0], 2, 'a tag, in quotes: "2"'],
  [[...S, "meta"], { "a.b": "x" }, "a name of letters, digits, dash and underscore"],
  [[...S, "meta"], { a: "x".repeat(513) }, "text of at most 512 characters"],
  [[...S, "meta"], ["a"], "a map from names to text"],
  [
    [...S, "meta"],
    Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, ""])),
    "at most 64 names",
  ],
  [[...S, "weights", "passing"], 0, "from 1 to 65535"],
  [[...S, "weights", "warning"], 65_536, "from 0 to 65535"],
  [[...S, "advertise"], "listener", "expected application or { listener: NAME }"],
  [[...S, "advertise", "listener"], undefined, "missing, expected a name"],
  [[...S, "advertise", "listener"], "frnt", "the name of a listener (front); did you mean front?"],
  [[...S, "advertise", "listener"], "front", "others cannot connect to a unix socket"],
  [[...S, "shutdown"], "leave", "expected deregister or maintenance"],
  [[...K, "kind"], "ttl", "expected ttl-probe, consul-http, consul-tcp or consul-grpc"],
  [[...K, "http"], "status", "a path that begins with /"],
  [K, { kind: "consul-http" }, "service.check.http: missing, expected the path that Consul asks for"],
  [K, { kind: "consul-grpc", http: "/a" }, "service.check.http: found"],
  [K, { kind: "consul-tcp", http: "/a" }, "no path, except with ttl-probe and consul-http"],
  [[...K, "interval"], "1ms", "expected at least 100ms"],
  [K, { kind: "consul-tcp", interval: "999ms", timeout: "1ms" }, "at least 1s where Consul probes"],
  [[...K, "timeout"], "3s", "expected at most the interval"],
  [[...K, "fall"], 0, "from 1 to 1000"],
  [[...K, "rise"], 0, "from 1 to 1000"],
  [[...K, "ttl"], "999ms", "expected at least 1s"],
  [K, { kind: "consul-tcp", ttl: "10s" }, "no time to live, except with ttl-probe"],
  [[...K, "deregisterCriticalServiceAfter"], "59s", "expected at least 1m"],
  [["listeners"], undefined, "missing, expected a list"],
  [["listeners"], [], "found an empty list, expected at least one listener"],
  [[...L, "name"], undefined, "missing, expected a name"],
  [[...L, "name"], "a b", 'found "a b", expected a name'],
  [[...L, "bind"], undefined, "missing, expected an address to listen on"],
  [[...L, "bind"], [], "expected at least one address"],
  [[...L, "bind", 0], "127.0.0.1", "a host and a port"],
  [[...L, "bind", 0, "address"], undefined, "missing, expected an address to listen on"],
  [[...L, "bind", 0, "mode"], 660, 'octal digits in quotes, such as "0660"'],
  [[...L, "bind", "address"], "x", "a host and a port"],
  [[...L, "bind"], { address: "unix:/a", mode: "9" }, "listeners[0].bind.mode: found"],
  [[...L, "bind", 0], { address: ":1", mode: "0660" }, "expected no mode, except for a unix socket"],
  [[...L, "protocol"], "http2", "expected http or tcp; did you mean http?"],
  [[...L, "direction"], "in", "expected outbound or inbound"],
  [[...L, "timeouts", "client"], 30, "such as 30s or 30ms"],
  [[...L, "timeouts", "httpRequest"], "x", DURATION],
  [[...L, "timeouts", "httpKeepAlive"], "x", DURATION],
  [[...L, "limits", "maxConnections"], 0, "from 1 to 1000000"],
  [[...L, "limits", "maxWaiting"], -1, "from 0 to 1000000"],
  [[...L, "limits", "backlog"], 0, "from 1 to 1000000"],
  [[...L, "limits", "maxConnectionsPerAddress"], -1, "from 0 to 1000000"],
  [[...L, "limits", "maxHeadBytes"], "2MiB", "a size from 1KiB to 1MiB"],
  [[...L, "limits", "maxHeadBytes"], 1023, "a size from 1KiB to 1MiB"],
  [[...L, "limits", "maxHeaders"], 1.5, "from 1 to 10000"],
  [[...L, "limits", "maxBodyBytes"], "1MB", "a size such as 16KiB"],
  [[...L, "allowConnect"], "yes", "expected true or false"],
  [
    [...L, "pool"],
    "wbe",
    "expected the name of a pool (web, fixed, file, names, link, ring, table, peak, stuck, stick); did you mean web?",
  ],
  [[...L, "pool"], 1, 'in quotes: "1"'],
  [[...L, "routes"], {}, "found a map, expected a list"],
  [[...L, "priority", "class"], -2_048, "from -2047 to 2047"],
  [[...L, "priority", "class"], "first", "from -2047 to 2047"],
  [[...L, "priority", "offset"], "-525s", "from -524287ms to 524287ms"],
  [[...L, "priority", "offset"], -5, "such as 500ms or -2s"],
  [[...L, "priority", "header"], "x y", "the name of a header field"],
  [[...R, "priority", "class"], 2_048, "from -2047 to 2047"],
  [[...R, "priority", "offset"], "--1s", "from -524287ms to 524287ms"],
  [[...R, "priority", "header"], 5, "the name of a header field"],
  [[...R, "match", "host"], "api:80", "a host without a port: api"],
  [[...R, "match", "host"], "a*b", "a host without a port, such as"],
  [[...R, "match", "path"], "v1", "a path that begins with /"],
  [[...R, "match", "pathPrefix"], "/v1?x", "a path that begins with /"],
  [[...R, "match"], { path: "/a", pathPrefix: "/b" }, "expected either path or pathPrefix"],
  [[...R, "match", "method"], "get", "a method in capitals"],
  [[...R, "match", "headers"], ["x"], "a map from field names to values"],
  [[...R, "match", "headers"], { "a b": "c" }, "expected the name of a header field"],
  [[...R, "match", "headers"], { a: 1 }, 'in quotes: "1"'],
  [[...R, "pool"], "web", "expected either pool or pools"],
  [[...L, "routes", 1, "pool"], undefined, "missing, expected pool or pools"],
  [[...R, "pools"], [], "at least one pool"],
  [[...R, "pools"], [{ pool: "web", weight: 0 }], "at least one weight above 0"],
  [[...R, "pools", 0, "pool"], undefined, "missing, expected a name"],
  [[...R, "pools", 0, "pool"], "nope", "the name of a pool"],
  [[...R, "pools", 0, "weight"], -1, "from 0 to 10000"],
  [[...R, "timeouts", "requestTotal"], "x", DURATION],
  [[...R, "timeouts", "server"], "x", DURATION],
  [[...R, "retries", "max"], 21, "from 0 to 20"],
  [[...R, "retries", "perTryTimeout"], "soon", "a duration"],
  [[...R, "retries", "on", 0], 200, "found 200, expected conn-failure"],
  [["pools"], {}, "found a map, expected a list"],
  [["pools", 2, "name"], undefined, "missing, expected a name"],
  [[...P, "discovery"], undefined, "missing, expected a map with type"],
  [[...P, "discovery", "type"], undefined, "missing, expected consul, dns, dns-sd, static or file"],
  [
    [...P, "discovery", "type"],
    "consl",
    "expected consul, dns, dns-sd, static or file; did you mean consul?",
  ],
  [[...P, "discovery", "service"], undefined, "missing, expected the name of a service"],
  [[...P, "discovery", "service"], "a/b", "the name of a service"],
  [[...P, "discovery", "tags"], "v2", "expected a list"],
  [[...P, "discovery", "tags", 0], 2, 'a tag, in quotes: "2"'],
  [[...P, "discovery", "minStatus"], "critical", "expected passing, warning or any"],
  [[...P, "discovery", "query"], "web", "expected either service or query"],
  [[...P, "discovery", "queryInterval"], "10ms", "expected at least 1s"],
  [[...P, "discovery", "failover"], Array(9).fill("dc2"), "expected at most 8 datacenters"],
  [[...P, "discovery", "failover", 0], "a/b", "the name of a datacenter"],
  [[...P, "discovery", "failover", 0, "datacenter"], "", "the name of a datacenter"],
  [
    [...P, "discovery", "failover", 0],
    { datacenter: "dc2", taggedAddress: "a b" },
    "pools[0].discovery.failover[0].taggedAddress",
  ],
  [[...P, "discovery", "near"], "a b", "the name of a node, or _agent"],
  [[...P, "discovery", "taggedAddress"], "a b", "the name of a tagged address"],
  [[...P, "discovery", "zoneKey"], "a b", "a key of meta"],
  [[...P, "discovery", "datacenter"], "", "the name of a datacenter"],
  [[...P, "discovery", "namespace"], "", "the name of a namespace"],
  [[...P, "discovery", "partition"], "", "the name of a partition"],
  [[...P, "discovery", "filter"], "", "a filter expression"],
  [[...P, "discovery", "resolve"], "some", "expected all or one"],
  [[...P, "savedList"], "maybe", "expected on, off or a map"],
  [[...P, "savedList", "maxAge"], "10ms", "expected at least 1s"],
  [[...P, "flapDamping"], "maybe", "expected on, off or a map"],
  [[...P, "flapDamping", "halfLife"], "10ms", "expected at least 1s"],
  [[...P, "flapDamping", "suppress"], 0, "from 1 to 1000000"],
  [[...P, "flapDamping", "reuse"], 2_500, "expected less than suppress"],
  [[...P, "flapDamping", "maxSuppress"], "59s", "expected at least halfLife"],
  [[...P, "flapDamping", "maxSuppressedPercent"], 100, "from 1 to 99"],
  [[...P, "suspicion"], "maybe", "expected on, off or a map"],
  [[...P, "suspicion", "removedPercent"], 0, "from 1 to 100"],
  [[...P, "suspicion", "hold"], "10ms", "expected at least 1s"],
  [[...P, "suspicion", "evidence"], "10ms", "expected at least 1s"],
  [["pools", 1, "discovery", "endpoints"], undefined, "missing, expected a list"],
  [["pools", 1, "discovery", "endpoints", 0], "a", "a host and a port"],
  [["pools", 1, "discovery", "endpoints", 0], ["a:80"], "found a list"],
  [["pools", 1, "discovery", "endpoints", 1, "address"], "b", "a host and a port"],
  [["pools", 1, "discovery", "endpoints", 1, "id"], "a b", "an id"],
  [["pools", 1, "discovery", "endpoints", 1, "weight"], 257, "from 0 to 256"],
  [["pools", 1, "discovery", "endpoints", 1, "priority"], 65_536, "from 0 to 65535"],
  [["pools", 1, "discovery", "endpoints", 1, "backup"], "yes", "true or false"],
  [["pools", 1, "discovery", "endpoints", 1, "backup"], { a: 1 }, "true or false"],
  [["pools", 1, "discovery", "endpoints", 1, "tags"], [""], "a tag"],
  [["pools", 1, "discovery", "endpoints", 1, "tags", 0], "", "a tag"],
  [["pools", 1, "discovery", "endpoints", 1, "meta"], { a: [] }, "expected text"],
  [["pools", 2, "discovery", "path"], undefined, "missing, expected the path of a file"],
  [[...N, "name"], "a..b", "expected a DNS name, such as web.service.consul"],
  [[...N, "record"], "aaaa", "expected srv or a"],
  [[...N, "port"], undefined, "missing, expected the port, which address records do not tell"],
  [[...N, "port"], 65_536, "from 1 to 65535"],
  [[...N, "resolvers"], [], "expected at least one name server"],
  [[...N, "resolvers"], Array(9).fill("::1"), "expected at most 8 name servers"],
  [[...N, "resolvers", 0], "ns.test:53", "expected the IP address of a name server"],
  [[...N, "minTtl"], "99ms", "expected at least 100ms"],
  [[...N, "maxTtl"], "500ms", "expected at least minTtl"],
  [[...N, "hold", "nx"], "for ever", "or forever; did you mean forever?"],
  [[...N, "hold", "timeout"], 3, "such as 3s or 3ms, or forever"],
  [[...N, "hold", "refused"], "600h", "at most 596h, or forever"],
  [[...N, "hold", "other"], "x", "or 1h, or forever"],
  [[...N, "hold", "obsolete"], "forever", DURATION],
  [[...N, "timeout"], "9ms", "expected at least 10ms"],
  [[...N, "retries"], 21, "from 0 to 20"],
  [[...N, "resolve"], "some", "expected all or one"],
  [["pools", 4, "discovery", "service"], "http", "expected a service type, such as _http._tcp.local"],
  [["pools", 4, "discovery", "interfaces"], [], "expected at least one interface"],
  [["pools", 4, "discovery", "interfaces"], Array(65).fill("lo"), "expected at most 64 interfaces"],
  [["pools", 4, "discovery", "interfaces", 0], "a b", "the name or an IPv4 address of an interface"],
  [["pools", 4, "discovery", "resolve"], "some", "expected all or one"],
  [
    [...P, "balance"],
    "leastcon",
    "expected leastconn, roundrobin, random, first, consistent-hash, maglev or ewma; did you mean leastconn?",
  ],
  [
    [...P, "balance", "algorithm"],
    "fastest",
    "expected leastconn, roundrobin, random, first, consistent-hash, maglev or ewma",
  ],
  [[...P, "balance", "idle"], "x", "expected weighted or haproxy"],
  [["pools", 1, "balance", "draws"], 17, "from 1 to 16"],
  [[...A, "type"], "magic", "cookie, source, path, header or table"],
  [[...A, "name"], "a b", "the name of a cookie"],
  [[...A, "mode"], "append", "insert, rewrite or prefix"],
  [[...A, "indirect"], "yes", "true or false"],
  [[...A, "nocache"], "yes", "true or false"],
  [[...A, "preserve"], "yes", "true or false"],
  [[...A, "httpOnly"], "yes", "true or false"],
  [[...A, "secure"], "yes", "true or false"],
  [[...A, "domain"], "a;b", "a domain"],
  [[...A, "attr", 0], "a;b", "an attribute without ; and ,"],
  [[...A, "maxIdle"], 5, "such as 5s or 5ms"],
  [[...A, "maxLife"], "long", DURATION],
  [[...A, "value"], "name", "dynamic, id or meta"],
  [[...A, "secret"], "", "up to 1024 characters"],
  [[...A, "meta"], "a b", "a name of letters, digits and -_."],
  [[...A2, "name"], "a b", "a name of letters, digits and -_."],
  [[...A2, "loadFactor"], -1, "a number from 0 to 100"],
  [[...A2, "loadFactor"], 0.5, "0, or more than 1"],
  [[...A3, "on"], "moon", "source, header, cookie, path or query"],
  [[...A3, "name"], undefined, "a name with on: header, cookie or query, and none otherwise"],
  [[...A3, "size"], 0, "from 1 to 10000000"],
  [[...A3, "expire"], "0s", "at least 1ms"],
  [[...H, "on"], "moon", "source, header, cookie, path or query"],
  [[...H, "name"], "a b", "a name of letters, digits and -_."],
  [[...H, "name"], undefined, "a name with on: header, cookie or query, and none otherwise"],
  [[...H, "loadFactor"], 1, "0, or more than 1"],
  [[...H, "loadFactor"], 101, "a number from 0 to 100"],
  [[...H, "virtualNodes"], 0, "from 1 to 1024"],
  [[...M, "on"], "sources", "source, header, cookie, path or query"],
  [[...M, "name"], "sid;", "a name of letters"],
  [[...M, "loadFactor"], 0.5, "0, or more than 1"],
  [[...M, "tableSize"], 65_536, "a prime number"],
  [[...M, "tableSize"], 250, "from 251 to 5000011"],
  [[...E, "decay"], "0s", "at least 1ms"],
  [[...E, "defaultRtt"], 30, "such as 30s or 30ms"],
  [[...P, "timeouts", "connect"], "0s", "expected at least 1ms"],
  [[...P, "timeouts", "server"], "x", DURATION],
  [[...P, "timeouts", "queue"], 0, "expected at least 1ms"],
  [[...P, "timeouts", "awaitBackend"], 3, "3s"],
  [[...P, "timeouts", "tunnel"], "600h", "at most 596h"],
  [[...P, "timeouts", "requestTotal"], "x", DURATION],
  [[...P, "timeouts", "upstreamIdle"], "x", DURATION],
  [[...P, "retries", "max"], "many", "from 0 to 20"],
  [[...P, "retries", "redispatch"], 1, "true or false"],
  [[...P, "retries", "redispatchInterval"], 21, "from -20 to 20"],
  [[...P, "retries", "redispatchInterval"], 0, "redispatch: false forbids it"],
  [[...P, "retries", "perTryTimeout"], 2, "such as 2s or 2ms"],
  [[...P, "retries", "on", 0], "sometimes", 'found "sometimes", expected conn-failure, empty-response'],
  [[...P, "retries", "nonIdempotent"], "on", "true or false"],
  [[...P, "retries", "maxBodyBytes"], "17MiB", "0 to 16MiB"],
  [[...P, "retries", "expectContinue"], "yes", DURATION],
  [[...P, "retries", "backoff", "base"], "soon", DURATION],
  [[...P, "retries", "backoff", "max"], "1ms", "at least base"],
  [[...P, "retries", "hedge"], "p49", 'found "p49", expected p50 to p99.9, or a duration from 1ms'],
  [[...P, "retries", "hedge"], "0s", "p50 to p99.9, or a duration from 1ms"],
  [[...P, "retries", "budget", "percent"], 101, "from 0 to 100"],
  [[...P, "retries", "budget", "min"], -1, "from 0 to 1000000"],
  [[...P, "reuse"], "sometimes", "expected safe, always or never"],
  [[...P, "reuseSafeFor"], 1, "such as 1s or 1ms"],
  [[...P, "healthCheck"], "on", "expected off or a map"],
  [[...P, "healthCheck", "type"], "ping", "expected tcp, http, grpc, tls or agent"],
  [[...P, "healthCheck", "method"], "get", "a method in capitals"],
  [[...P, "healthCheck", "path"], "status", "a path that begins with /"],
  [[...P, "healthCheck", "host"], "a b", "expected a host"],
  [[...P, "healthCheck", "interval"], "1ms", "expected at least 10ms"],
  [[...P, "healthCheck", "timeout"], "3s", "expected at most the interval"],
  [[...P, "healthCheck", "fall"], 0, "from 1 to 1000"],
  [[...P, "healthCheck", "rise"], 0, "from 1 to 1000"],
  [[...P, "healthCheck", "fastInterval"], "1ms", "expected at least 10ms"],
  [[...P, "healthCheck", "downInterval"], "soon", "a duration"],
  [[...P, "healthCheck", "provenInterval"], "1ms", "expected at least 10ms"],
  [[...P, "healthCheck", "demandPercent"], 101, "from 0 to 100"],
  [[...P, "healthCheck", "initialState"], "unknown", "expected up, down, fully-up or fully-down"],
  [[...P, "healthCheck", "observe"], "layer5", "expected off, layer4 or layer7"],
  [[...P, "healthCheck", "errorLimit"], 0, "from 1 to 1000000"],
  [[...P, "healthCheck", "onError"], "die", "expected fastinter, fail-check, sudden-death or mark-down"],
  [[...P, "healthCheck", "onMarkedDown"], "cut", "expected none or shutdown-sessions"],
  [[...P, "healthCheck", "onMarkedUp"], "shutdown-sessions", "expected none or shutdown-backup-sessions"],
  [[...P, "healthCheck", "verdict"], "any", "expected both, consul or own"],
  [[...P, "healthCheck", "address"], "a b", "expected a host or an address"],
  [[...P, "healthCheck", "port"], 0, "from 1 to 65535"],
  [[...P, "healthCheck", "jitter"], 51, "from 0 to 50"],
  [[...P, "healthCheck", "headers"], "x", "a map from names to text"],
  [[...P, "healthCheck", "headers", "a b"], "x", "the name of a field"],
  [[...P, "healthCheck", "headers", "x-a"], "a\nb", "text without line breaks"],
  [[...P, "healthCheck", "body"], "", "text of at most 4096 characters"],
  [[...P, "healthCheck", "expectStatus"], "200-", "statuses from 100 to 599"],
  [[...P, "healthCheck", "expectStatus"], "300-200", "statuses from 100 to 599"],
  [[...P, "healthCheck", "expectBody"], "(", "a regular expression"],
  [[...P, "healthCheck", "disableOn404"], "maybe", "true or false"],
  [[...P, "healthCheck", "tls"], "maybe", "on, off or a map"],
  [[...P, "healthCheck", "tls", "verify"], "maybe", "true or false"],
  [[...P, "healthCheck", "tls", "serverName"], "a b", "a host name"],
  [[...P, "healthCheck", "tls", "ca"], 5, "the path of a file"],
  [[...P, "healthCheck", "tls"], { ca: "a.pem", verify: false }, "no ca where verify is off"],
  [[...P, "agentCheck"], "on", "expected off or a map"],
  [[...P, "agentCheck", "port"], 0, "from 1 to 65535"],
  [[...P, "agentCheck", "send"], "", "expected text"],
  [[...P, "agentCheck", "interval"], "1ms", "expected at least 10ms"],
  [[...P, "agentCheck", "timeout"], "3s", "expected at most the interval"],
  [[...P, "agentCheck", "address"], "a b", "expected a host or an address"],
  [[...P, "agentCheck", "jitter"], 51, "from 0 to 50"],
  [[...P, "outlierDetection"], "maybe", "expected on, off or a map"],
  [[...P, "outlierDetection", "consecutive5xx"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "consecutiveGatewayFailure"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "consecutiveConnectFailure"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "interval"], "1ms", "expected at least 10ms"],
  [[...P, "outlierDetection", "baseEjectionTime"], "0s", "expected at least 1ms"],
  [[...P, "outlierDetection", "maxEjectionTime"], "29s", "expected at least baseEjectionTime"],
  [[...P, "outlierDetection", "maxEjectionPercent"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "probation"], 1_001, "from 0 to 1000"],
  [[...P, "outlierDetection", "consecutiveLocalOriginFailure"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "successRateMinimumHosts"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "successRateRequestVolume"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "successRateStdevFactor"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "failurePercentageMinimumHosts"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "failurePercentageRequestVolume"], -1, "from 0 to 1000000"],
  [[...P, "outlierDetection", "enforcingConsecutive5xx"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingConsecutiveGatewayFailure"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingConsecutiveConnectFailure"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingConsecutiveLocalOriginFailure"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingSuccessRate"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingLocalOriginSuccessRate"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "failurePercentageThreshold"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingFailurePercentage"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "enforcingFailurePercentageLocalOrigin"], 101, "from 0 to 100"],
  [[...P, "outlierDetection", "splitExternalLocalOriginErrors"], "maybe", "expected true or false"],
  [[...P, "outlierDetection", "successfulActiveHealthCheckUneject"], "maybe", "expected true or false"],
  [[...P, "outlierDetection", "latency"], "maybe", "expected on, off or a map"],
  [[...P, "outlierDetection", "latency", "percentile"], 100, "from 50 to 99"],
  [[...P, "outlierDetection", "latency", "factor"], 0.5, "a number from 1 to 1000"],
  [[...P, "outlierDetection", "latency", "deviations"], -1, "a number from 0 to 100"],
  [[...P, "outlierDetection", "latency", "minDifference"], "soon", DURATION],
  [[...P, "outlierDetection", "latency", "interval"], "1ms", "expected at least 10ms"],
  [[...P, "outlierDetection", "latency", "requestVolume"], 0, "from 1 to 1000000"],
  [[...P, "outlierDetection", "latency", "minWeightPercent"], 0, "from 1 to 100"],
  [[...P, "outlierDetection", "minHealthyBackends"], 0, "from 1 to 1000000"],
  [[...P, "outlierDetection", "maxEjectionTimeJitter"], "soon", DURATION],
  [[...P, "slowStart"], "soon", "expected off, a duration or a map"],
  [[...P, "slowStart"], "9ms", "expected off, or at least 10ms"],
  [[...P, "slowStart", "window"], "9ms", "expected at least 10ms"],
  [[...P, "slowStart", "window"], undefined, "missing, expected"],
  [[...P, "slowStart", "aggression"], 0, "expected a number from 0.1 to 10"],
  [[...P, "slowStart", "aggression"], "fast", "expected a number from 0.1 to 10"],
  [[...P, "slowStart", "minPercent"], 100, "expected a whole number from 0 to 99"],
  [[...P, "limits", "maxConnectionsPerBackend"], -1, "from 0 to 1000000"],
  [[...P, "limits", "maxRequestsPerBackend"], -1, "from 0 to 1000000"],
  [[...P, "limits", "minConnectionsPerBackend"], 5, "at most maxConnectionsPerBackend"],
  [[...P, "limits", "fullConnections"], 0, "from 1 to 1000000"],
  [[...P, "limits", "retryAfter"], "x", DURATION],
  [[...P, "limits", "maxQueue"], -1, "from 0 to 1000000"],
  [[...P, "limits", "maxQueuePerBackend"], -1, "from 0 to 1000000"],
  [[...P, "limits", "adaptive"], "maybe", "expected on, off or a map"],
  [[...AL, "minLimit"], 0, "from 1 to 1000000"],
  [[...AL, "minLimit"], 1_001, "at most maxLimit"],
  [[...AL, "maxLimit"], 0, "from 1 to 1000000"],
  [[...AL, "interval"], "1ms", "expected at least 10ms"],
  [[...AL, "minSamples"], 0, "from 1 to 100000"],
  [[...AL, "percentile"], 100, "from 1 to 99"],
  [[...AL, "bufferPercent"], -1, "from 0 to 1000"],
  [[...AL, "minDifference"], "soon", DURATION],
  [[...AL, "minRttInterval"], "10ms", "expected at least 1s"],
  [[...AL, "minRttJitterPercent"], 101, "from 0 to 100"],
  [[...AL, "minRttSamples"], 0, "from 1 to 100000"],
  [[...P, "allBackups"], "some", "true or false"],
  [[...P, "panicThreshold"], 101, "from 0 to 100"],
  [[...P, "zone"], "a", "a map"],
  [[...P, "zone", "own"], undefined, "missing, expected a name of 1 to 128"],
  [[...P, "zone", "own"], "", "a name of 1 to 128"],
  [[...P, "zone", "minPercent"], 1001, "from 0 to 1000"],
  [[...P, "zone", "minBackends"], 0, "from 1 to 1000000"],
  [[...P, "zone", "spillFactor"], -1, "from 0 to 1000"],
  [[...P, "fallback"], 5, "a name of letters"],
  [[...P, "persist"], "always", "true or false"],
  [[...P, "abortOnClose"], "always", "true or false"],
  [[...P, "drainDeadline"], "x", DURATION],
];

/** Fields of the kinds of checks that the base has none of. */
const OTHER_CHECKS = [
  ["grpc", "service", "a b", "expected a name"],
  ["tls", "serverName", "a b", "expected a host name"],
  ["tls", "verify", "maybe", "expected true or false"],
  ["tls", "ca", 5, "expected the path of a file"],
  ["agent", "send", "", "expected text"],
] as const;

describe("a configuration", () => {
  it("is good as the table's base has it", () => {
    expect(problemsOf(BASE)).toEqual([]);
  });

  it.each(CASES)("with %j = %j is refused", (path, value, part) => {
    const problems = problemsOf(place(BASE, path, value));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(part);
    expect(problems[0]).toContain(formatPath(path));
    expect(problems[0]).not.toMatch(/undefined|Invalid input|received/);
  });

  it.each(OTHER_CHECKS)("refuses in a check of type %s the field %s", (type, field, value, expected) => {
    const problems = problemsOf(place(BASE, [...P, "healthCheck"], { type, [field]: value }));
    expect(problems).toContainEqual(
      expect.stringMatching(new RegExp(`healthCheck\\.${field}: .*${expected}`)),
    );
  });

  it("has every scalar field of the schema in the table", () => {
    const covered = new Set([
      "listeners.*.bind.mode",
      ...OTHER_CHECKS.map(([, field]) => `pools.*.healthCheck.${field}`),
      "pools.*.discovery.failover.*.taggedAddress",
      ...CASES.map(([path]) => starred(path)),
    ]);
    expect(fieldsOf(configJsonSchema(), []).scalars.filter((field) => !covered.has(field))).toEqual([]);
  });

  const { maps } = fieldsOf(configJsonSchema(), []);

  it("has maps in the schema", () => {
    expect(maps.length).toBeGreaterThan(20);
  });

  it.each(maps)("refuses an unknown key in %s", (field) => {
    const path = [...concrete(field), "xyzzy"];
    const problems = problemsOf(place(BASE, path, 1));
    expect(problems).toContainEqual(
      expect.stringContaining(`${formatPath(path)}: unknown key, expected one of `),
    );
  });

  it.each(maps.filter((field) => field !== ""))("refuses nothing in place of the map %s", (field) => {
    expect(problemsOf(place(BASE, concrete(field), null)).join()).toContain(
      `${formatPath(concrete(field))}: found nothing`,
    );
  });
});

function problemsOf(tree: unknown): string[] {
  const result = parseConfig(JSON.stringify(tree, undefined, 1), { file: "f", env: {} });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

/** A copy of the tree with one value changed; maps and lists on the way are made. */
function place(tree: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (typeof step === "number") {
    const items: unknown[] = Array.isArray(tree) ? [...tree] : [];
    items[step] = place(items[step], rest, value);
    return items;
  }
  return { ...(isMap(tree) ? tree : {}), [step]: place(isMap(tree) ? tree[step] : undefined, rest, value) };
}

function starred(path: Path): string {
  return path.map((step) => (typeof step === "number" ? "*" : step)).join(".");
}

/** The place in the base where a starred field has the right kind of map around it. */
function concrete(field: string): Path {
  const first: Path = field === "" ? [] : field.split(".").map((step) => (step === "*" ? 0 : step));
  const pool = field.includes("discovery.endpoints") ? 1 : field.includes("discovery.hold") ? 3 : 0;
  return first.map((step) => (step === 0 ? pool : step));
}

/** Every field the JSON schema names, apart from `defaults`, whose fields are those of listeners and pools. */
function fieldsOf(schema: unknown, path: Path): { scalars: string[]; maps: string[] } {
  const scalars = new Set<string>();
  const maps = new Set<string>();
  const visit = (node: unknown, at: Path): void => {
    if (!isMap(node) || at[0] === "defaults") return;
    const forms = [
      ...(Array.isArray(node.anyOf) ? node.anyOf : []),
      ...(Array.isArray(node.oneOf) ? node.oneOf : []),
    ];
    for (const form of forms) visit(form, at);
    if (isMap(node.properties)) {
      maps.add(starred(at));
      for (const [key, inner] of Object.entries(node.properties)) visit(inner, [...at, key]);
    } else if (isMap(node.items)) {
      // A list of sources holds what may stand alone in its place.
      visit(node.items, at.at(-1) === "discovery" ? at : [...at, 0]);
    } else if (forms.length === 0 || forms.every((form) => !isMap(form) || form.properties === undefined)) {
      if (at.length > 0) scalars.add(starred(at));
    }
  };
  visit(schema, path);
  return { scalars: [...scalars], maps: [...maps] };
}
