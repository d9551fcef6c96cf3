import {
  type handleBidiStreamingCall,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import type { Contract, ProtoFile } from "./contract.js";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from "./generated/grpc/reflection/v1/reflection.js";

/** Full names of both reflection services, as a client sees them. */
export const REFLECTION_SERVICES = [
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
] as const;

type Answer = ServerReflectionResponse["messageResponse"];
type Handler = handleBidiStreamingCall<ServerReflectionRequest, ServerReflectionResponse>;

/**
 * Server reflection in both versions: older grpcurl asks v1alpha only, newer clients v1 first. Their messages
 * are the same on the wire.
 */
export class Reflection {
  readonly #contract: Contract;
  readonly #services: readonly string[];

  /** @param services full names of the services to list. */
  constructor(contract: Contract, services: readonly string[]) {
    this.#contract = contract;
    this.#services = [...services].sort();
  }

  addTo(server: Server): void {
    const handler: Handler = (call) => this.#converse(call);
    for (const name of REFLECTION_SERVICES) {
      const method = ServerReflectionService.serverReflectionInfo;
      const definition: ServiceDefinition = {
        serverReflectionInfo: { ...method, path: `/${name}/ServerReflectionInfo` },
      };
      server.addService(definition, { serverReflectionInfo: handler });
    }
  }

  /** Answers one question. `sent` holds the files this client has; it is added to. */
  answer(request: ServerReflectionRequest, sent: Set<ProtoFile>): ServerReflectionResponse {
    return {
      validHost: request.host,
      originalRequest: request,
      messageResponse: this.#answer(request, sent),
    };
  }

  #converse(call: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>): void {
    const sent = new Set<ProtoFile>();
    call.on("data", (request: ServerReflectionRequest) => {
      if (call.write(this.answer(request, sent))) return;
      // Answers are larger than questions: no further question before this answer is taken.
      call.pause();
      call.once("drain", () => call.resume());
    });
    call.on("end", () => call.end());
    // The client broke off; nothing is held that would have to be freed.
    call.on("error", () => {});
  }

  #answer(request: ServerReflectionRequest, sent: Set<ProtoFile>): Answer {
    const question = request.messageRequest;
    switch (question?.$case) {
      case "fileByFilename":
        return this.#files(this.#contract.file(question.value), `no file ${question.value}`, sent);
      case "fileContainingSymbol":
        return this.#files(this.#contract.fileOf(question.value), `no symbol ${question.value}`, sent);
      case "fileContainingExtension":
        return failure(
          status.NOT_FOUND,
          `${question.value.containingType} has no extension ${question.value.extensionNumber}`,
        );
      case "allExtensionNumbersOfType":
        return this.#contract.hasMessage(question.value)
          ? {
              $case: "allExtensionNumbersResponse",
              value: { baseTypeName: question.value, extensionNumber: [] },
            }
          : failure(status.NOT_FOUND, `no message ${question.value}`);
      case "listServices":
        return {
          $case: "listServicesResponse",
          value: { service: this.#services.map((name) => ({ name })) },
        };
      case undefined:
        return failure(status.INVALID_ARGUMENT, "the request asks nothing");
    }
  }

  /** The file and those of its imports that this client does not have. */
  #files(file: ProtoFile | undefined, otherwise: string, sent: Set<ProtoFile>): Answer {
    if (file === undefined) return failure(status.NOT_FOUND, otherwise);
    const files = this.#contract.withImports(file).filter((each) => each === file || !sent.has(each));
    for (const each of files) sent.add(each);
    const fileDescriptorProto = files.map(({ bytes }) => Buffer.from(bytes));
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }
}

function failure(errorCode: status, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode, errorMessage } };
}
