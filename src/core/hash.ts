/** FNV-1a's offset basis and prime for 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Request path. A hash of 32 bits of a text: FNV-1a over its UTF-16 units, finished by `mix` so that texts that differ
 * in their last letter lie far apart. The same in every process, so that many of them agree where a key belongs.
 */
export function hashText(text: string, seed = 0): number {
  let hash = FNV_BASIS ^ seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  return mix(hash);
}

/** MurmurHash3's finalizer: every bit of 32 depends on every other. */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
