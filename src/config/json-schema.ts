import { z } from "zod";
import { configSchema } from "./schema/config.js";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * The JSON schema (draft 7, which YAML editors read) of a configuration file, made from the schema that checks it.
 * It describes what is written, so `${NAME}` is allowed in every scalar, and what `defaults` may supply is not
 * required.
 */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    target: "draft-7",
    io: "input",
    override: ({ jsonSchema }) => {
      // Editors fill in `{}` for a map whose default is no more than "all its keys have one".
      if (isEmptyMap(jsonSchema.default)) delete jsonSchema.default;
      // The kinds of a map are told apart by one key; "exactly one" would forbid leaving it to `defaults`.
      if (jsonSchema.oneOf !== undefined) {
        jsonSchema.anyOf = jsonSchema.oneOf;
        delete jsonSchema.oneOf;
      }
    },
  });
  const pool = schema.properties?.pools;
  const items = typeof pool === "object" && !Array.isArray(pool.items) ? pool.items : undefined;
  if (typeof items === "object") {
    dropRequired(items.properties?.healthCheck, "type");
    dropRequired(items.properties?.balance, "algorithm");
  }
  return { title: "pilotfish configuration", ...schema };
}

function dropRequired(schema: JsonSchema | boolean | undefined, key: string): void {
  if (typeof schema !== "object") return;
  if (schema.required !== undefined) schema.required = schema.required.filter((name) => name !== key);
  for (const form of schema.anyOf ?? []) dropRequired(form, key);
}

function isEmptyMap(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}
