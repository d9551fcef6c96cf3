import { BinaryReader } from "@bufbuild/protobuf/wire";
import { DESCRIPTOR_SET_BASE64 } from "./generated/descriptor-set.js";

/** One proto file as the compiler described it: the raw bytes, and what reflection has to know of them. */
export interface ProtoFile {
  readonly name: string;
  /** A serialized google.protobuf.FileDescriptorProto, untouched. */
  readonly bytes: Uint8Array;
  /** Names of the files it imports. */
  readonly imports: readonly string[];
  /** Full names of everything it declares. */
  readonly symbols: readonly string[];
  /** Full names of its messages. */
  readonly messages: readonly string[];
}

/**
 * The proto files this server speaks, with their imports, straight from the compiler. Clients that rebuild
 * descriptors lose imports, comments and `optional`, so the bytes are handed out as they are.
 */
export class Contract {
  readonly #files = new Map<string, ProtoFile>();
  readonly #bySymbol = new Map<string, ProtoFile>();
  readonly #messages = new Set<string>();

  /** @param set a serialized google.protobuf.FileDescriptorSet with imports. */
  constructor(set: Uint8Array) {
    for (const bytes of readRepeated(set, SET.file)) {
      const file = readFile(bytes);
      this.#files.set(file.name, file);
      for (const symbol of file.symbols) this.#bySymbol.set(symbol, file);
      for (const message of file.messages) this.#messages.add(message);
    }
  }

  file(name: string): ProtoFile | undefined {
    return this.#files.get(name);
  }

  /** The file that declares a full name. */
  fileOf(symbol: string): ProtoFile | undefined {
    return this.#bySymbol.get(symbol);
  }

  hasMessage(name: string): boolean {
    return this.#messages.has(name);
  }

  /** The file and everything it imports, directly or not, itself first. */
  withImports(file: ProtoFile): readonly ProtoFile[] {
    const found = new Set([file]);
    for (const each of found) {
      for (const name of each.imports) {
        const imported = this.#files.get(name);
        if (imported !== undefined) found.add(imported);
      }
    }
    return [...found];
  }
}

/** The contract of this program's own API, health and reflection. */
export function ownContract(): Contract {
  return new Contract(Buffer.from(DESCRIPTOR_SET_BASE64, "base64"));
}

// Field numbers of google/protobuf/descriptor.proto.
const SET = { file: 1 } as const;
const FILE = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6, extension: 7 } as const;
const MESSAGE = { name: 1, field: 2, nested: 3, enum: 4, extension: 6, oneof: 8 } as const;
const ENUM = { name: 1, value: 2 } as const;
const SERVICE = { name: 1, method: 2 } as const;
/** Fields, oneofs, methods and enum values all begin with their name. */
const NAMED = { name: 1 } as const;

function readFile(bytes: Uint8Array): ProtoFile {
  const scope = readName(bytes, FILE.package);
  const symbols: string[] = [];
  const messages: string[] = [];
  for (const message of readRepeated(bytes, FILE.message)) readMessage(message, scope, symbols, messages);
  for (const each of readRepeated(bytes, FILE.enum)) readEnum(each, scope, symbols);
  for (const service of readRepeated(bytes, FILE.service)) {
    const name = qualified(scope, readName(service, SERVICE.name));
    symbols.push(name);
    pushNamed(service, SERVICE.method, name, symbols);
  }
  pushNamed(bytes, FILE.extension, scope, symbols);
  return {
    name: readName(bytes, FILE.name),
    bytes,
    imports: readRepeated(bytes, FILE.dependency).map((name) => Buffer.from(name).toString()),
    symbols,
    messages,
  };
}

function readMessage(bytes: Uint8Array, scope: string, symbols: string[], messages: string[]): void {
  const name = qualified(scope, readName(bytes, MESSAGE.name));
  symbols.push(name);
  messages.push(name);
  for (const part of [MESSAGE.field, MESSAGE.oneof, MESSAGE.extension]) pushNamed(bytes, part, name, symbols);
  for (const nested of readRepeated(bytes, MESSAGE.nested)) readMessage(nested, name, symbols, messages);
  for (const each of readRepeated(bytes, MESSAGE.enum)) readEnum(each, name, symbols);
}

function readEnum(bytes: Uint8Array, scope: string, symbols: string[]): void {
  symbols.push(qualified(scope, readName(bytes, ENUM.name)));
  // Values are named beside their enum, not inside it.
  pushNamed(bytes, ENUM.value, scope, symbols);
}

function pushNamed(bytes: Uint8Array, field: number, scope: string, symbols: string[]): void {
  for (const part of readRepeated(bytes, field)) symbols.push(qualified(scope, readName(part, NAMED.name)));
}

function qualified(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

function readName(bytes: Uint8Array, field: number): string {
  const [name] = readRepeated(bytes, field);
  return name === undefined ? "" : Buffer.from(name).toString();
}

/** The values of a field that holds bytes, a string or a message. */
function readRepeated(bytes: Uint8Array, field: number): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field) values.push(reader.bytes());
    else reader.skip(wireType);
  }
  return values;
}
