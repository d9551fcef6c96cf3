import type { BalanceConfig, KeyConfig } from "./balance-model.js";
import type { ParsedConfig } from "./schema/config.js";

type ParsedBalance = ParsedConfig["pools"][number]["balance"];

/** A balancer's options as the program reads them. */
export function compileBalance(balance: ParsedBalance): BalanceConfig {
  switch (balance.algorithm) {
    case "consistent-hash": {
      const { algorithm, loadFactor, virtualNodes } = balance;
      return { algorithm, ...compileKey(balance), loadFactor, virtualNodes };
    }
    case "maglev": {
      const { algorithm, loadFactor, tableSize } = balance;
      return { algorithm, ...compileKey(balance), loadFactor, tableSize };
    }
    case "ewma":
      return { algorithm: "ewma", decayMs: balance.decay, defaultRttMs: balance.defaultRtt };
    default:
      return balance;
  }
}

/** Names of fields are compared in lower case. */
export function compileKey({
  on,
  name = "",
}: Pick<KeyConfig, "on"> & { readonly name?: string | undefined }): KeyConfig {
  return { on, name: on === "header" ? name.toLowerCase() : name };
}
