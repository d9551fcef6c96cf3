import type { Connection } from "../connection.js";
import type { DownstreamReceiver } from "../message.js";
import type { Answer } from "./answer.js";
import type { BodySink } from "./body-decoder.js";
import type { ClientDeadline } from "./client-deadline.js";
import { refusalOf } from "./head-fault.js";
import type { RequestReader } from "./request-reader.js";

/**
 * Request path. The flow of one request body after another from a client to its exchange: read only while the exchange
 * takes it, so that TCP holds the client back otherwise.
 */
export class RequestBody implements BodySink {
  readonly #connection: Connection;
  readonly #reader: RequestReader;
  readonly #answer: Answer;
  readonly #deadline: ClientDeadline;
  #receiver: DownstreamReceiver | undefined;
  #isWanted = false;
  /** Whether the exchange was told of its end. */
  #isTold = false;

  constructor(connection: Connection, reader: RequestReader, answer: Answer, deadline: ClientDeadline) {
    this.#connection = connection;
    this.#reader = reader;
    this.#answer = answer;
    this.#deadline = deadline;
  }

  /** Of the next request; nobody takes it yet. */
  begin(): void {
    this.#receiver = undefined;
    this.#isWanted = false;
    this.#isTold = false;
  }

  /** Whether the exchange takes it now. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Whom it goes to; undefined for nobody any more. */
  set receiver(receiver: DownstreamReceiver | undefined) {
    this.#receiver = receiver;
  }

  /** Lets it come. Whether what is at hand is to be read now. */
  want(): boolean {
    if (this.#isTold || this.#isWanted) return false;
    this.#isWanted = true;
    // A body of no bytes is at its end before anything was read.
    if (this.#reader.isBodyDone) {
      this.tell();
      return false;
    }
    this.awaitTurn();
    this.#connection.resume();
    return true;
  }

  pause(): void {
    if (this.#isTold) return;
    this.#isWanted = false;
    this.awaitTurn();
    this.#connection.pause();
  }

  onBody(bytes: Buffer): void {
    this.#receiver?.onRequestBody(bytes);
  }

  /**
   * Tells the exchange how far the body has come. Its end and a fault are told even when the last bytes made
   * the exchange ask for a pause: nothing more would come that could bring them up.
   */
  tell(): void {
    const fault = this.#reader.bodyFault;
    if (fault !== undefined) {
      this.#receiver?.onDownstreamFailure(refusalOf(fault, "data"));
    } else if (this.#reader.isBodyDone) {
      if (!this.#isWanted) this.#connection.resume();
      this.#isWanted = false;
      this.#isTold = true;
      this.awaitTurn();
      this.#receiver?.onRequestEnd(this.#reader.trailers);
      this.#receiver?.onRequestPause();
    } else {
      this.awaitTurn();
      this.#receiver?.onRequestPause();
    }
  }

  /** While it is the client's turn to send its body or to take its answer, its time runs. */
  awaitTurn(): void {
    if (this.#isWanted || this.#answer.isStalled) this.#deadline.awaitClient();
    else this.#deadline.awaitBackend();
  }
}
