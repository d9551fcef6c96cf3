/** A number from 0 up to 1. Everything that draws takes such a function, so that tests can seed it. */
export type Random = () => number;

/** The machine's own. Not for secrets. */
export const systemRandom: Random = () => Math.random();
