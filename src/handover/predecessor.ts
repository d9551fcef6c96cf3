import type { Learnt, PredecessorMessage, SuccessorMessage } from "./message.js";

/** The channel to the parent process, as `process` has it. */
export interface ParentChannel {
  send?(message: object): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "disconnect", listener: () => void): unknown;
  disconnect?(): void;
}

/** The process whose place this one takes, as this one sees it. */
export class Predecessor {
  readonly #channel: ParentChannel;
  #awaited: { readonly say: string; readonly resolve: (message: PredecessorMessage) => void } | undefined;
  #onLost: ((error: Error) => void) | undefined;

  constructor(channel: ParentChannel) {
    this.#channel = channel;
    channel.on("message", (message) => this.#take(message));
    channel.on("disconnect", () => this.#onLost?.(new Error("the process before this one is gone")));
  }

  /** Says that this process is there; answers what the one before has learnt. */
  async hello(): Promise<Learnt> {
    return (await this.#say("hello", "begin")).learnt ?? {};
  }

  /** Says that this process serves; answers, once the other one takes no calls of operators any more, what it learnt meanwhile. */
  async serving(): Promise<Learnt> {
    return (await this.#say("serving", "released")).learnt ?? {};
  }

  /** The place is taken. Nothing more is said. */
  settled(): void {
    this.#onLost = undefined;
    this.#channel.send?.({ say: "settled" } satisfies SuccessorMessage);
    this.#channel.disconnect?.();
  }

  /** Rejects when the other process ends before it has answered. */
  #say(say: "hello" | "serving", awaited: PredecessorMessage["say"]): Promise<PredecessorMessage> {
    return new Promise((resolve, reject) => {
      this.#awaited = { say: awaited, resolve };
      this.#onLost = reject;
      this.#channel.send?.({ say } satisfies SuccessorMessage);
    });
  }

  #take(message: unknown): void {
    const { say } = (message ?? {}) as Partial<PredecessorMessage>;
    if (this.#awaited === undefined || say !== this.#awaited.say) return;
    const { resolve } = this.#awaited;
    this.#awaited = undefined;
    resolve(message as PredecessorMessage);
  }
}
