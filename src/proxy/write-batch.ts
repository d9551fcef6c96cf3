import { atTurnEnd } from "../platform/turn.js";
import type { Connection } from "./connection.js";

/** So many connections wait at most, so that what is held is bounded: each holds `TEXT_BYTES_MAX` at most. */
const WAITING_MAX = 16;

/** After a turn that had but one connection to write to, so many writes are made at once before another turn is looked at. */
const DIRECT_WRITES = 32;

let waiting: Connection[] = [];
let spare: Connection[] = [];
let isTurnWatched = false;
let flushedThisTurn = 0;
let directLeft = 0;

/**
 * Request path. Has the connection flushed at the end of this turn of the event loop, together with others that were
 * given something to send. Writes in a row find the kernel's code in the processor's caches, and the reads before them
 * ours; a write after each read turned both out again and again (the get-64, get-1000, post-1k and close rows pay for
 * it). False where little is going on, so that there would be nothing to gain by waiting (the get-1 row).
 */
export function flushesAtTurnEnd(connection: Connection): boolean {
  if (directLeft > 0) {
    directLeft--;
    return false;
  }
  if (!isTurnWatched) {
    isTurnWatched = true;
    flushedThisTurn = 0;
    atTurnEnd(turnEnds);
  }
  // Before it joins: the caller has yet to hold what it wants to send.
  if (waiting.length >= WAITING_MAX) flushAll();
  waiting.push(connection);
  return true;
}

function turnEnds(): void {
  isTurnWatched = false;
  flushAll();
  if (flushedThisTurn <= 1) directLeft = DIRECT_WRITES;
}

function flushAll(): void {
  const flushed = waiting;
  waiting = spare;
  flushedThisTurn += flushed.length;
  for (const connection of flushed) connection.flush();
  flushed.length = 0;
  spare = flushed;
}
