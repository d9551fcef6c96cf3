import { haproxy } from "./haproxy.js";
import { nginx } from "./nginx.js";
import { nodePeer } from "./node-peer.js";
import type { Peer } from "./peer.js";
import { pilotfish } from "./pilotfish.js";

/** The proxy all others are compared with. */
export const REFERENCE = haproxy.name;

/** Every proxy of the comparison, in the order of the table. */
export const PEERS: readonly Peer[] = [
  pilotfish,
  haproxy,
  nginx,
  nodePeer("http-proxy", "http-proxy.mjs"),
  nodePeer("fast-proxy", "fast-proxy.mjs"),
];
