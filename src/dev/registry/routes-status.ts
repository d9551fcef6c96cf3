import type { NodeFields } from "./catalog-store.js";
import type { Exchange } from "./exchange.js";
import type { Route } from "./router.js";

/** The Consul release whose answers are given; clients gate features by it. */
export const spokenVersion = "1.8.7";

/** Ports that are told and not listened on: there is no second member to talk to. */
export const serverPort = 8300;
const gossipPort = 8301;

/** Routes that tell who answers. */
export function statusRoutes(node: NodeFields): Route[] {
  const leader = `${node.Address}:${serverPort}`;
  const own = (answer: (exchange: Exchange) => unknown) => ({
    GET: (exchange: Exchange) => {
      exchange.requireOwnDatacenter();
      return exchange.json(answer(exchange));
    },
  });
  return [
    { path: "/v1/status/leader", methods: own(() => leader) },
    { path: "/v1/status/peers", methods: own(() => [leader]) },
    { path: "/v1/agent/members", methods: { GET: (exchange) => exchange.json([describeMember(node)]) } },
    { path: "/v1/agent/self", methods: { GET: (exchange) => exchange.json(describeSelf(node, leader)) } },
  ];
}

function describeMember(node: NodeFields): object {
  return {
    Name: node.Node,
    Addr: node.Address,
    Port: gossipPort,
    Tags: {
      acls: "0",
      build: `${spokenVersion}:`,
      dc: node.Datacenter,
      id: node.ID,
      port: String(serverPort),
      raft_vsn: "3",
      role: "consul",
      segment: "",
      vsn: "2",
      vsn_max: "3",
      vsn_min: "2",
    },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

function describeSelf(node: NodeFields, leader: string): object {
  const config = {
    Datacenter: node.Datacenter,
    NodeName: node.Node,
    NodeID: node.ID,
    Revision: "",
    Server: true,
    Version: spokenVersion,
  };
  return {
    Config: config,
    DebugConfig: {
      ...config,
      ACLsEnabled: false,
      CheckUpdateInterval: "5m0s",
      ServerMode: true,
      DevMode: true,
    },
    Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.00001 },
    Member: describeMember(node),
    Stats: {
      build: { prerelease: "", revision: "", version: spokenVersion },
      consul: { leader: "true", leader_addr: leader, server: "true" },
    },
    Meta: node.Meta,
  };
}
