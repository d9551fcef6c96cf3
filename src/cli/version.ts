import { readFileSync } from "node:fs";

/** The version of the package this file is part of; the path is the same from src/cli and dist/cli. */
export function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : "";
  if (typeof version !== "string" || version === "") throw new Error("package.json has no version");
  return version;
}
