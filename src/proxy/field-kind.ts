/**
 * Request path. The fields a proxy must know, as small numbers, so that a head is searched and filtered by
 * comparing numbers instead of names.
 */
export const KIND = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  te: 5,
  trailer: 6,
  upgrade: 7,
  keepAlive: 8,
  proxyConnection: 9,
  proxyAuthenticate: 10,
  proxyAuthorization: 11,
  http2Settings: 12,
  expect: 13,
  forwarded: 14,
  xForwardedFor: 15,
  xForwardedProto: 16,
  xForwardedHost: 17,
  xForwardedPort: 18,
  xRealIp: 19,
  via: 20,
  date: 21,
  retryAfter: 22,
  grpcStatus: 23,
  maxForwards: 24,
  /** One of those that others must not say for us, with `_` where `-` belongs. */
  lookAlike: 25,
  /** Any `X-Forwarded-...` besides those above, with `_` for `-` or not: it speaks of the client as they do. */
  xForwardedOther: 26,
} as const;

/** One of the kinds. */
export type FieldKind = (typeof KIND)[keyof typeof KIND];

/** A set of kinds, one bit each. */
export type KindSet = number;

/** The set of these kinds. */
export function kindSet(...kinds: readonly FieldKind[]): KindSet {
  let set = 0;
  for (const kind of kinds) set |= 1 << kind;
  return set;
}

/** Whether a set holds a kind. */
export function hasKind(set: KindSet, kind: FieldKind): boolean {
  return (set & (1 << kind)) !== 0;
}

const NAMES: Readonly<Record<string, FieldKind>> = {
  host: KIND.host,
  connection: KIND.connection,
  "content-length": KIND.contentLength,
  "transfer-encoding": KIND.transferEncoding,
  te: KIND.te,
  trailer: KIND.trailer,
  upgrade: KIND.upgrade,
  "keep-alive": KIND.keepAlive,
  "proxy-connection": KIND.proxyConnection,
  "proxy-authenticate": KIND.proxyAuthenticate,
  "proxy-authorization": KIND.proxyAuthorization,
  "http2-settings": KIND.http2Settings,
  expect: KIND.expect,
  forwarded: KIND.forwarded,
  "x-forwarded-for": KIND.xForwardedFor,
  "x-forwarded-proto": KIND.xForwardedProto,
  "x-forwarded-host": KIND.xForwardedHost,
  "x-forwarded-port": KIND.xForwardedPort,
  "x-real-ip": KIND.xRealIp,
  via: KIND.via,
  date: KIND.date,
  "retry-after": KIND.retryAfter,
  "grpc-status": KIND.grpcStatus,
  "max-forwards": KIND.maxForwards,
};

/**
 * Gateways that hand fields on as variables (CGI, WSGI, PHP) make one name of `-` and `_`, so that `X_Forwarded_For`
 * would stand beside what we say in `X-Forwarded-For`, and `Content_Length` beside the length we checked.
 */
const IMITATED: KindSet =
  kindSet(KIND.xForwardedFor, KIND.xForwardedProto, KIND.xForwardedHost) |
  kindSet(KIND.xForwardedPort, KIND.xRealIp, KIND.contentLength, KIND.transferEncoding);

const BY_NAME: ReadonlyMap<string, FieldKind> = new Map(Object.entries(NAMES));

interface Candidate {
  readonly name: string;
  readonly kind: FieldKind;
}

const LONGEST_NAME = 19;

/** Known names by length and first letter; few share both. */
const CANDIDATES: readonly (readonly Candidate[])[] = Array.from(
  { length: (LONGEST_NAME + 1) * 32 },
  (_, slot) =>
    Object.entries(NAMES)
      .filter(([name]) => slotOf(name.length, name.charCodeAt(0)) === slot)
      .map(([name, kind]) => ({ name, kind })),
);

function slotOf(length: number, firstCode: number): number {
  return length * 32 + (firstCode & 31);
}

/** The kind of the field whose name is `bytes[start..end)`, in any case. */
export function fieldKindOf(bytes: Uint8Array, start: number, end: number): FieldKind {
  const length = end - start;
  if (length <= LONGEST_NAME) {
    const candidates = CANDIDATES[slotOf(length, bytes[start] as number)] as readonly Candidate[];
    for (const { name, kind } of candidates) {
      const likeness = likenessOf(bytes, start, name);
      if (likeness === SAME) return kind;
      if (likeness === SIMILAR && hasKind(IMITATED, kind)) return KIND.lookAlike;
    }
  }
  const mayBeForwarded = length > FORWARDED_PREFIX.length && ((bytes[start] as number) | 0x20) === LETTER_X;
  return mayBeForwarded && likenessOf(bytes, start, FORWARDED_PREFIX) !== DIFFERENT
    ? KIND.xForwardedOther
    : KIND.other;
}

const FORWARDED_PREFIX = "x-forwarded-";
const LETTER_X = 0x78;

const DIFFERENT = 0;
const SIMILAR = 1;
const SAME = 2;
const UNDERSCORE = 0x5f;
const HYPHEN = 0x2d;

/** How like a name or its beginning the bytes are from `start` on: the same in any case, similar with `_` for `-`. */
function likenessOf(bytes: Uint8Array, start: number, name: string): number {
  let likeness = SAME;
  for (let at = 0; at < name.length; at++) {
    const code = bytes[start + at] as number;
    const expected = name.charCodeAt(at);
    if ((code >= 0x41 && code <= 0x5a ? code | 0x20 : code) === expected) continue;
    if (code !== UNDERSCORE || expected !== HYPHEN) return DIFFERENT;
    likeness = SIMILAR;
  }
  return likeness;
}

/** The kind of the field with this name in lower case, of those that have a name. */
export function kindOfName(name: string): FieldKind {
  return BY_NAME.get(name) ?? KIND.other;
}
