import { afterEach, describe, expect, it } from "vitest";
import { CatalogEntry } from "../../../../src/dev/demo/registration.js";
import { type Registry, startRegistry } from "../../../../src/dev/registry-server.js";

describe("a backend's place in the catalog", () => {
  let registry: Registry | undefined;
  let entry: CatalogEntry | undefined;

  afterEach(async () => {
    await entry?.leave();
    await registry?.close();
  });

  async function listed(): Promise<string[]> {
    const response = await fetch(`${registry?.url}/v1/health/service/web?passing`);
    const entries = (await response.json()) as { Service: { ID: string; Port: number } }[];
    return entries.map(({ Service }) => `${Service.ID}:${Service.Port}`);
  }

  it("is passing from the first moment and gone once it left", async () => {
    registry = await startRegistry({ host: "127.0.0.1", port: 0 });
    entry = new CatalogEntry({ catalogUrl: registry.url, service: "web", id: "web1", port: 5_001 }, () => {});
    await entry.register();
    expect(await listed()).toEqual(["web1:5001"]);
    await entry.leave();
    expect(await listed()).toEqual([]);
  });

  it("is taken again when the catalog comes back without it", async () => {
    registry = await startRegistry({ host: "127.0.0.1", port: 0 });
    const { url, port } = registry;
    let onAgain = (): void => {};
    const again = new Promise<void>((resolve) => {
      onAgain = resolve;
    });
    entry = new CatalogEntry({ catalogUrl: url, service: "web", id: "web1", port: 5_001 }, (isAgain) => {
      if (isAgain) onAgain();
    });
    await entry.register();
    await registry.close();
    registry = await startRegistry({ host: "127.0.0.1", port });
    expect(await listed()).toEqual([]);
    await again;
    expect(await listed()).toEqual(["web1:5001"]);
  });

  it("is refused with the catalog's status", async () => {
    registry = await startRegistry({ host: "127.0.0.1", port: 0 });
    entry = new CatalogEntry({ catalogUrl: registry.url, service: "", id: "web1", port: 5_001 }, () => {});
    await expect(entry.register()).rejects.toThrow("answered 400");
  });

  it("leaves a catalog that is away without a word", async () => {
    registry = await startRegistry({ host: "127.0.0.1", port: 0 });
    entry = new CatalogEntry({ catalogUrl: registry.url, service: "web", id: "web1", port: 5_001 }, () => {});
    await entry.register();
    await registry.close();
    registry = undefined;
    await expect(entry.leave()).resolves.toBeUndefined();
  });
});
