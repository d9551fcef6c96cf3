import type { Backend } from "./backend.js";
import { hashText } from "./hash.js";

/** One backend while a table is filled. */
interface Filler {
  readonly backend: Backend;
  readonly weight16: number;
  readonly skip: number;
  /** Its next preference. */
  at: number;
  /** Turns owed to it, in the heaviest one's weight. */
  due: number;
}

const EMPTY = -1;

/**
 * A Maglev lookup table under construction (Eisenbud et al., NSDI 2016): in turns by weight each backend takes the next
 * free slot of its own permutation, which its name alone decides. Filled in parts, so that no single request pays for
 * all of it.
 */
export class MaglevBuild {
  readonly table: Int32Array;
  /** What the numbers in the table mean. */
  readonly backends: readonly Backend[];
  readonly #fillers: Filler[];
  readonly #heaviest: number;
  #filled = 0;
  #turn = 0;

  /** @param size of the table, a prime above the number of backends */
  constructor(backends: Iterable<Backend>, size: number) {
    this.table = new Int32Array(size).fill(EMPTY);
    // By name, so that every process that sees the same backends makes the same table.
    this.backends = [...backends].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#fillers = this.backends.map((backend) => ({
      backend,
      weight16: backend.row.weight16,
      at: hashText(backend.id) % size,
      skip: (hashText(backend.id, 1) % (size - 1)) + 1,
      due: 0,
    }));
    this.#heaviest = Math.max(1, ...this.#fillers.map(({ weight16 }) => weight16));
  }

  get isDone(): boolean {
    return this.#filled === this.table.length || this.backends.length === 0;
  }

  /** Goes on for about so many steps; answers whether the table is whole. */
  work(steps: number): boolean {
    for (let left = steps; left > 0 && !this.isDone; left--) {
      const number = this.#turn;
      const filler = this.#fillers[number] as Filler;
      this.#turn = number + 1 === this.#fillers.length ? 0 : number + 1;
      filler.due += filler.weight16;
      if (filler.due < this.#heaviest) continue;
      filler.due -= this.#heaviest;
      left -= this.#takeNext(filler, number);
    }
    return this.isDone;
  }

  /** Answers how many slots were looked at. */
  #takeNext(filler: Filler, number: number): number {
    const { table } = this;
    let looked = 1;
    while (table[filler.at] !== EMPTY) {
      filler.at = (filler.at + filler.skip) % table.length;
      looked++;
    }
    table[filler.at] = number;
    this.#filled++;
    return looked;
  }
}
