import { BinaryReader } from "@bufbuild/protobuf/wire";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ownContract, type ProtoFile } from "../../../src/admin/contract.js";
import type { ServerReflectionRequest } from "../../../src/admin/generated/grpc/reflection/v1/reflection.js";
import { Reflection } from "../../../src/admin/reflection.js";

const contract = ownContract();
const reflection = new Reflection(contract, ["b.Service", "a.Service"]);

function ask(question: ServerReflectionRequest["messageRequest"], sent = new Set<ProtoFile>()) {
  return reflection.answer({ host: "h", messageRequest: question }, sent).messageResponse;
}

/** Names of the files in an answer, read from the raw descriptors. */
function filesIn(answer: ReturnType<typeof ask>): string[] {
  if (answer?.$case !== "fileDescriptorResponse") throw new Error(`answered ${answer?.$case}`);
  return answer.value.fileDescriptorProto.map((bytes) => {
    const reader = new BinaryReader(bytes);
    expect(reader.tag()[0]).toBe(1);
    return reader.string();
  });
}

const ADMIN_FILES = [
  "pilotfish/admin/v1/admin.proto",
  "google/protobuf/duration.proto",
  "google/protobuf/timestamp.proto",
];

describe("Reflection", () => {
  it("lists services in order", () => {
    expect(ask({ $case: "listServices", value: "*" })).toEqual({
      $case: "listServicesResponse",
      value: { service: [{ name: "a.Service" }, { name: "b.Service" }] },
    });
  });

  it("echoes host and question", () => {
    const request: ServerReflectionRequest = {
      host: "me",
      messageRequest: { $case: "listServices", value: "" },
    };
    expect(reflection.answer(request, new Set())).toMatchObject({
      validHost: "me",
      originalRequest: request,
    });
  });

  it.each([
    "pilotfish.admin.v1.Admin",
    "pilotfish.admin.v1.Admin.SetWeight",
    "pilotfish.admin.v1.SetWeightRequest",
    "pilotfish.admin.v1.SetWeightRequest.percent",
    "pilotfish.admin.v1.SetWeightRequest.change",
    "pilotfish.admin.v1.Backend.MetaEntry",
    "pilotfish.admin.v1.AdminState",
    "pilotfish.admin.v1.ADMIN_STATE_DRAIN",
  ])("finds the file that declares %s, with what it imports", (symbol) => {
    expect(filesIn(ask({ $case: "fileContainingSymbol", value: symbol })).sort()).toEqual(
      [...ADMIN_FILES].sort(),
    );
  });

  it.each([
    ["grpc.health.v1.Health", "grpc/health/v1/health.proto"],
    ["grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"],
    ["grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
    ["grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"],
    ["grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"],
    ["google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
  ])("finds %s", (symbol, file) => {
    expect(filesIn(ask({ $case: "fileContainingSymbol", value: symbol }))).toEqual([file]);
  });

  it("sends imports once per stream, but always the file that was asked for", () => {
    const sent = new Set<ProtoFile>();
    const byName = { $case: "fileByFilename", value: ADMIN_FILES[0] ?? "" } as const;
    expect(filesIn(ask(byName, sent))).toHaveLength(3);
    expect(filesIn(ask(byName, sent))).toEqual(["pilotfish/admin/v1/admin.proto"]);
    const import_ = { $case: "fileByFilename", value: "google/protobuf/duration.proto" } as const;
    expect(filesIn(ask(import_, sent))).toEqual(["google/protobuf/duration.proto"]);
  });

  it("keeps comments in the descriptors", () => {
    const file = contract.file("pilotfish/admin/v1/admin.proto");
    expect(Buffer.from(file?.bytes ?? []).toString()).toContain("Overrides the discovered weight");
  });

  it.each([
    ["fileByFilename", "no.proto"],
    ["fileContainingSymbol", "pilotfish.admin.v1.Nothing"],
    ["fileContainingSymbol", ""],
    ["allExtensionNumbersOfType", "pilotfish.admin.v1.Nothing"],
  ] as const)("answers NOT_FOUND to %s %s", ($case, value) => {
    expect(ask({ $case, value })).toMatchObject({
      $case: "errorResponse",
      value: { errorCode: status.NOT_FOUND },
    });
  });

  it("knows no extensions", () => {
    const type = "pilotfish.admin.v1.Backend";
    expect(ask({ $case: "allExtensionNumbersOfType", value: type })).toEqual({
      $case: "allExtensionNumbersResponse",
      value: { baseTypeName: type, extensionNumber: [] },
    });
    expect(
      ask({ $case: "fileContainingExtension", value: { containingType: type, extensionNumber: 7 } }),
    ).toMatchObject({ $case: "errorResponse", value: { errorCode: status.NOT_FOUND } });
  });

  it("refuses a request that asks nothing", () => {
    expect(ask(undefined)).toMatchObject({ value: { errorCode: status.INVALID_ARGUMENT } });
  });
});
