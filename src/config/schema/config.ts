import type { z } from "zod";
import { adminSchema } from "./admin.js";
import { consulSchema } from "./consul.js";
import { integer, list, strictMap } from "./field.js";
import { listenerDefaultsSchema, listenerSchema } from "./listener.js";
import { poolDefaultsSchema, poolSchema } from "./pool.js";
import {
  logSchema,
  processLimitsSchema,
  shutdownSchema,
  startDeadlineSchema,
  stateDirSchema,
  trustedNetworksSchema,
} from "./process.js";
import { serviceSchema } from "./service.js";

/** The whole file. The JSON schema for editors is made from this very object. */
export const configSchema = strictMap({
  version: integer("Version of this format.", { min: 1, max: 1 }).prefault(1),
  log: logSchema,
  threads: integer("Threads that carry traffic; this version has one.", { min: 1, max: 1 }).prefault(1),
  stateDir: stateDirSchema.optional(),
  limits: processLimitsSchema,
  shutdown: shutdownSchema,
  trustedNetworks: trustedNetworksSchema,
  startDeadline: startDeadlineSchema,
  consul: consulSchema,
  admin: adminSchema,
  service: serviceSchema.optional(),
  defaults: strictMap({
    listener: listenerDefaultsSchema.prefault({}).describe("What every listener begins with."),
    pool: poolDefaultsSchema.prefault({}).describe("What every pool begins with."),
  })
    .prefault({})
    .describe("Laid below each listener and each pool: maps are merged, everything else is replaced."),
  listeners: list(listenerSchema)
    .min(1, { error: "at least one listener" })
    .describe("Where clients connect."),
  pools: list(poolSchema).prefault([]).describe("The services that are called."),
});

/** A file as the schema understood it: units converted, defaults filled in, names as in the file. */
export type ParsedConfig = z.output<typeof configSchema>;
