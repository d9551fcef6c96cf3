const head = (counts: string): string => `00008400${counts}`;

/** Packets that a parser of multicast DNS must survive, each with what it tries. */
export const hostilePackets: readonly (readonly [string, Buffer])[] = (
  [
    ["a name that points to itself", `${head("0000000100000000")}c00c`],
    ["a name that points to itself, in full", `${head("0000000100000000")}c00c000c000100000078000400000000`],
    ["two names that point to each other", `${head("0000000100000000")}c00ec00c000c000100000078000400000000`],
    ["a pointer past the end", `${head("0000000100000000")}ffff000c00010000007800020000`],
    ["a pointer cut in two", `${head("0000000100000000")}c0`],
    ["a pointer into the header", `${head("0000000100000000")}c000000c000100000078000400000000`],
    ["a label past the end", `${head("0000000100000000")}3f6162`],
    ["a label of a reserved kind", `${head("0000000100000000")}806162000c000100000078000400000000`],
    ["a name without its end", `${head("0000000100000000")}0161`],
    ["a record that ends in its type", `${head("0000000100000000")}016100000c`],
    ["data past the end", `${head("0000000100000000")}016100000c0001000000780fff00`],
    ["a pointer of a PTR to itself", `${head("0000000100000000")}016100000c0001000000780002c019`],
    ["a service shorter than one", `${head("0000000100000000")}01610000210001000000780003000000`],
    ["an address of three bytes", `${head("0000000100000000")}01610000010001000000780003010203`],
    ["a text longer than its data", `${head("0000000100000000")}0161000010000100000078000305616263`],
    ["records that are not there", `${head("ffffffffffffffff")}00`],
    ["a question that points to itself", `${head("0001000000000000")}c00c000c0001`],
    ["a header alone", head("0000000100000000")],
    ["less than a header", "0000"],
  ] as const
).map(([what, hex]) => [what, Buffer.from(hex, "hex")]);
