import { register } from "tsx/esm/api";

// A worker's first file is read before its loaders are there, so this one brings the other.
register();
await import("../../src/control/sources/dns-sd/worker.ts");
