import {
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";

const SERVICE = "pilotfish.admin.v1.Admin";
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** Longest wait for one answer, and for the description of the API. */
const CALL_MS = 5_000;

// Field numbers of grpc/reflection/v1/reflection.proto.
const ASK_SYMBOL = 4;
const ANSWER_FILES = 4;
const FILES_BYTES = 1;
const LENGTH_DELIMITED = 2;

/** A stream of answers that is being read. */
export interface AnswerStream {
  cancel(): void;
  /** Resolves when the server has ended it or it was cancelled; rejects with the refusal. */
  readonly ended: Promise<void>;
}

/**
 * A client of the admin API that knows nothing but its address, as grpcurl does: it asks the server to describe
 * itself by reflection and speaks JSON in its mapping from protobuf (defaults included). Rejections carry the
 * server's own words.
 */
export class AdminClient {
  readonly #client: Client;
  readonly #service: DescService;

  private constructor(client: Client, service: DescService) {
    this.#client = client;
    this.#service = service;
  }

  /** @param address `host:port`; rejects when nobody there describes the service. */
  static async connect(address: string): Promise<AdminClient> {
    // A proxy named in the environment has no way to this host's loopback.
    const client = new Client(address, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
    try {
      return new AdminClient(client, readService(await askForFiles(client)));
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** One question, one answer. The caller says what it expects to find in the answer. */
  call<Answer>(name: string, request: JsonObject = {}): Promise<Answer> {
    const method = this.#method(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        pathOf(method),
        (json: JsonObject) => encode(method, json),
        (bytes: Buffer) => decode(method, bytes),
        request,
        new Metadata(),
        { deadline: Date.now() + CALL_MS },
        (error, answer) => (error === null ? resolve(answer as Answer) : reject(error)),
      );
    });
  }

  /** One question, answers until the server ends the stream. */
  stream<Answer>(name: string, request: JsonObject, onAnswer: (answer: Answer) => void): AnswerStream {
    const method = this.#method(name);
    const call = this.#client.makeServerStreamRequest(
      pathOf(method),
      (json: JsonObject) => encode(method, json),
      (bytes: Buffer) => decode(method, bytes),
      request,
    );
    let isCancelled = false;
    const ended = new Promise<void>((resolve, reject) => {
      call.on("data", (answer: JsonValue) => onAnswer(answer as Answer));
      call.on("end", resolve);
      call.on("error", (error: Error) => (isCancelled ? resolve() : reject(error)));
    });
    return {
      ended,
      cancel: () => {
        isCancelled = true;
        call.cancel();
      },
    };
  }

  close(): void {
    this.#client.close();
  }

  #method(name: string): DescMethod {
    const found = this.#service.methods.find((method) => method.name === name);
    if (found === undefined) throw new Error(`${SERVICE} has no method ${name}`);
    return found;
  }
}

function pathOf(method: DescMethod): string {
  return `/${SERVICE}/${method.name}`;
}

function encode(method: DescMethod, json: JsonObject): Buffer {
  return Buffer.from(toBinary(method.input, fromJson(method.input, json)));
}

function decode(method: DescMethod, bytes: Buffer): JsonValue {
  return toJson(method.output, fromBinary(method.output, bytes), { alwaysEmitImplicit: true });
}

/** The files that describe the service, in no particular order. */
function askForFiles(client: Client): Promise<readonly FileDescriptorProto[]> {
  return new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest(
      REFLECTION,
      (symbol: string) =>
        Buffer.from(new BinaryWriter().tag(ASK_SYMBOL, LENGTH_DELIMITED).string(symbol).finish()),
      (bytes: Buffer) => bytes,
      new Metadata(),
      { deadline: Date.now() + CALL_MS },
    );
    call.on("data", (answer: Buffer) => {
      const files = readFields(answer, ANSWER_FILES).flatMap((list) => readFields(list, FILES_BYTES));
      if (files.length === 0) reject(new Error(`reflection does not know ${SERVICE}`));
      resolve(files.map((file) => fromBinary(FileDescriptorProtoSchema, file)));
      call.end();
    });
    call.on("error", reject);
    call.write(SERVICE);
  });
}

function readService(files: readonly FileDescriptorProto[]): DescService {
  const byName = new Map(files.map((file) => [file.name, file]));
  const declaring = files.find(({ package: scope, service }) =>
    service.some(({ name }) => `${scope}.${name}` === SERVICE),
  );
  const registry = declaring && createFileRegistry(declaring, (imported: string) => byName.get(imported));
  const service = registry?.getService(SERVICE);
  if (service === undefined) throw new Error(`reflection does not describe ${SERVICE}`);
  return service;
}

/** The values of a length-delimited field. */
function readFields(bytes: Uint8Array, field: number): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field) values.push(reader.bytes());
    else reader.skip(wireType);
  }
  return values;
}
