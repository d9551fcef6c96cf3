import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "./model.js";
import type { Finding } from "./report.js";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * What is wrong with the files that a configuration names and that must be sound before it is put in force: with a wrong
 * authority every check would fail, and all backends be down.
 */
export async function findFileFaults(config: Config): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [index, { healthCheck }] of config.pools.entries()) {
    if (healthCheck === undefined || !("tls" in healthCheck)) continue;
    const file = healthCheck.tls?.caFile;
    if (file === undefined) continue;
    const fault = await faultOf(file);
    const within = healthCheck.type === "tls" ? [] : ["tls"];
    const path = ["pools", index, "healthCheck", ...within, "ca"];
    if (fault !== undefined) findings.push({ path, message: `found ${file}, ${fault}`, at: "value" });
  }
  return findings;
}

/** Undefined for a file with certificates, all of them sound. */
async function faultOf(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "latin1");
  } catch (error) {
    return `which cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) return "expected a file with certificates (PEM)";
  const broken = certificates.findIndex((each) => !isCertificate(each));
  return broken < 0 ? undefined : `whose certificate ${broken + 1} cannot be read`;
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).subject !== undefined;
  } catch {
    return false;
  }
}
