import { createSocket, type Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
// @ts-expect-error The package has no types; what is used of it is declared below.
import packageMonitor from "node-dns-sd";
import { systemClock } from "../../../platform/clock.js";
import { type ParsedPacket, readPacket } from "./heard-packet.js";
import { chooseLinks, findLink, type LinkAddress } from "./link.js";
import type { RefusedCounts, WorkerOrder, WorkerReport, WorkerSettings } from "./messages.js";
import { guardPacket } from "./packet-guard.js";

/**
 * The thread that listens to multicast DNS: the package's monitor and parser behind a guard, and the sockets
 * that ask. It knows nothing of services; what it hears it reports. Should it die, another one takes its place
 * and nothing is lost but a second.
 */

/** What is used of `node-dns-sd`, whose one instance has no other way to set its port and interfaces. */
interface PackageMonitor {
  ondata: (packet: ParsedPacket & { readonly address: string }) => void;
  _UDP_PORT: number;
  _udp: Socket | null;
  _getNetifAddressList: () => readonly string[];
  _receivePacket: (bytes: Buffer, from: Sender) => void;
  startMonitoring(): Promise<void>;
  stopMonitoring(): Promise<void>;
}

interface Sender {
  readonly address: string;
  readonly port: number;
}

const group = "224.0.0.251";
/** RFC 6762 section 11. */
const hops = 255;
const interfacesPollMs = 5_000;
const countsMs = 1_000;
/** Reports on their way that were not taken yet; a flood ends here and not in memory. */
const reportsMax = 256;

/** Packets taken: so many at once, then so many a second, so that a flood costs the traffic no time. */
const burst = 200;
const packetsPerSecond = 100;

const monitor = packageMonitor as PackageMonitor;
const settings = workerData as WorkerSettings;
let links: readonly LinkAddress[] = [];
let senders: readonly Socket[] = [];
let reportsUnderWay = 0;
let turns = burst;
let turnsMs = systemClock.nowMs();
let counts: RefusedCounts = { malformed: 0, foreign: 0, flooded: 0 };
let countsTold = counts;

function report(message: WorkerReport): void {
  parentPort?.postMessage(message);
}

function refuse(why: keyof RefusedCounts): void {
  counts = { ...counts, [why]: counts[why] + 1 };
}

function hasTurn(): boolean {
  const nowMs = systemClock.nowMs();
  turns = Math.min(burst, turns + ((nowMs - turnsMs) * packetsPerSecond) / 1_000);
  turnsMs = nowMs;
  if (turns < 1) return false;
  turns -= 1;
  return true;
}

const parse = monitor._receivePacket.bind(monitor);

function receive(bytes: Buffer, from: Sender): void {
  if (from.port !== settings.port || findLink(from.address, links) === undefined) {
    refuse("foreign");
    return;
  }
  const verdict = guardPacket(bytes);
  if (verdict.kind === "malformed") refuse("malformed");
  if (verdict.kind !== "sound") return;
  if (reportsUnderWay >= reportsMax || !hasTurn()) {
    refuse("flooded");
    return;
  }
  try {
    parse(verdict.bytes, from);
  } catch {
    // What the guard let through after all; the count is what there is to say of it.
    refuse("malformed");
  }
}

function hear(packet: ParsedPacket & { readonly address: string }): void {
  const records = readPacket(packet);
  if (records.length === 0) return;
  const link = findLink(packet.address, links);
  reportsUnderWay += 1;
  report({ kind: "heard", sender: { address: packet.address, link: link?.name ?? "" }, records });
}

async function listen(chosen: readonly LinkAddress[]): Promise<void> {
  for (const socket of senders) socket.close();
  senders = [];
  links = chosen;
  await monitor.stopMonitoring();
  if (chosen.length > 0) {
    await monitor.startMonitoring();
    // The package takes its own listener away once the port is bound.
    monitor._udp?.on("error", fail);
    // One per interface; a second address of it would only ask twice.
    const first = chosen.filter((link, at) => chosen.findIndex(({ name }) => name === link.name) === at);
    senders = await Promise.all(first.map(openSender));
  }
  report({ kind: "listening", addresses: chosen.map(({ address }) => address) });
}

/** A socket of its own per interface, from the port of multicast DNS: from another one it is answered apart. */
function openSender(link: LinkAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    socket.once("error", reject);
    socket.bind(settings.port, () => {
      socket.off("error", reject);
      socket.on("error", fail);
      try {
        socket.setMulticastInterface(link.address);
        socket.setMulticastTTL(hops);
        // A responder on this machine must hear the question.
        socket.setMulticastLoopback(true);
        resolve(socket);
      } catch (cause) {
        reject(cause);
      }
    });
  });
}

function send(bytes: Uint8Array): void {
  for (const socket of senders) {
    socket.send(bytes, settings.port, group, (cause) => {
      // An interface that went away is found out about by the poll.
      if (cause !== null && cause !== undefined) report({ kind: "problem", reason: cause.message });
    });
  }
}

/** Ends the thread; the source starts another one. */
function fail(cause: Error): void {
  throw cause;
}

async function followInterfaces(): Promise<void> {
  const chosen = chooseLinks(networkInterfaces(), settings.interfaces);
  const isSame = JSON.stringify(chosen) === JSON.stringify(links);
  if (!isSame || (chosen.length === 0 && senders.length > 0)) await listen(chosen);
  systemClock.after(interfacesPollMs, () => void followInterfaces());
}

function tellCounts(): void {
  if (counts !== countsTold) report({ kind: "counts", counts });
  countsTold = counts;
  systemClock.after(countsMs, tellCounts);
}

monitor._UDP_PORT = settings.port;
monitor._getNetifAddressList = () => links.map(({ address }) => address);
monitor._receivePacket = receive;
monitor.ondata = hear;
parentPort?.on("message", (order: WorkerOrder) => {
  if (order.kind === "send") send(order.bytes);
  else reportsUnderWay -= 1;
});
await listen(chooseLinks(networkInterfaces(), settings.interfaces));
systemClock.after(interfacesPollMs, () => void followInterfaces());
tellCounts();
