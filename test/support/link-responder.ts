import { createSocket, type Socket } from "node:dgram";
import { type Answer, decode, encode, type Question } from "dns-packet";

const group = "224.0.0.251";
const loopback = "127.0.0.1";

/** An instance as a responder announces it. */
export interface AnnouncedInstance {
  /** First label. */
  readonly label: string;
  readonly port: number;
  /** `<label>.local` when left out. */
  readonly host?: string;
  readonly address?: string;
  readonly priority?: number;
  readonly weight?: number;
  readonly text?: readonly string[];
  readonly ttl?: number;
}

/** A responder of multicast DNS on one interface, for one service type. */
export class LinkResponder {
  /** What was asked since the start. */
  readonly asked: Question[] = [];
  /** Instances that its queries already knew. */
  readonly known: string[] = [];
  readonly instances = new Map<string, AnnouncedInstance>();
  /** Answers leave out what was not asked for. */
  isTerse = false;
  readonly #service: string;
  readonly #socket: Socket;

  private constructor(service: string, socket: Socket) {
    this.#service = service;
    this.#socket = socket;
    socket.on("message", (bytes) => this.#onMessage(bytes));
  }

  /**
   * @param port 0 for a free one
   * @param address of the interface whose link it speaks on
   */
  static async open(service: string, port = 0, address = loopback): Promise<LinkResponder> {
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, resolve);
    });
    socket.addMembership(group, address);
    socket.setMulticastInterface(address);
    return new LinkResponder(service, socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Has an instance, and says so. */
  async announce(instance: AnnouncedInstance): Promise<void> {
    this.instances.set(instance.label, instance);
    await this.send(
      encode({ type: "response", flags: 1 << 10, answers: this.#recordsOf(instance, instance.ttl ?? 120) }),
    );
  }

  /** Takes an instance back, with a goodbye unless it is to vanish without a word. */
  async withdraw(label: string, isSilent = false): Promise<void> {
    const instance = this.instances.get(label);
    this.instances.delete(label);
    if (instance === undefined || isSilent) return;
    await this.send(encode({ type: "response", flags: 1 << 10, answers: this.#recordsOf(instance, 0) }));
  }

  /** Sends any bytes to the group from the port of the service. */
  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.send(bytes, this.port, group, (cause) => (cause === null ? resolve() : reject(cause))),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #onMessage(bytes: Buffer): void {
    let packet: ReturnType<typeof decode>;
    try {
      packet = decode(bytes);
    } catch {
      // Tests send what cannot be read.
      return;
    }
    if (packet.flag_qr) return;
    this.asked.push(...(packet.questions ?? []));
    for (const answer of packet.answers ?? []) {
      if (answer.type === "PTR") this.known.push(answer.data.slice(0, -this.#service.length - 1));
    }
    const answers = (packet.questions ?? []).flatMap((question) =>
      this.#answer(question, packet.answers ?? []),
    );
    if (answers.length > 0) void this.send(encode({ type: "response", flags: 1 << 10, answers }));
  }

  #answer(question: Question, known: readonly Answer[]): Answer[] {
    const held = [...this.instances.values()].filter(
      (each) =>
        !known.some((answer) => answer.type === "PTR" && answer.data === `${each.label}.${this.#service}`),
    );
    const all = held.flatMap((instance) => this.#recordsOf(instance, instance.ttl ?? 120));
    if (question.type === "PTR" && question.name.toLowerCase() === this.#service) {
      return this.isTerse ? all.filter(({ type }) => type === "PTR") : all;
    }
    return [...this.instances.values()]
      .flatMap((instance) => this.#recordsOf(instance, instance.ttl ?? 120))
      .filter(
        ({ type, name }) => type === question.type && name.toLowerCase() === question.name.toLowerCase(),
      );
  }

  #recordsOf(instance: AnnouncedInstance, ttl: number): Answer[] {
    const name = `${instance.label}.${this.#service}`;
    const target = instance.host ?? `${instance.label}.local`;
    const { port, priority = 0, weight = 0 } = instance;
    return [
      { type: "PTR", name: this.#service, ttl, data: name },
      { type: "SRV", name, ttl, flush: true, data: { port, priority, weight, target } },
      { type: "TXT", name, ttl, flush: true, data: [...(instance.text ?? [""])] },
      { type: "A", name: target, ttl, flush: true, data: instance.address ?? "127.0.0.1" },
    ];
  }
}
