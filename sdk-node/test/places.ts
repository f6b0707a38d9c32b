/** Where a test takes place: its files and what lies there, and a gateway with clients of it. */

import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ControlZero, type Options } from "@controlzero/sdk";
import { API_KEY, GatewayDouble } from "./gateway-double.js";

export interface Place {
  readonly gateway: GatewayDouble;
  readonly spool: string;
  readonly open: (options?: Options) => Promise<ControlZero>;
}

/** Start a gateway whose project enforces a policy, and say how clients of it are opened. */
export async function aPlace(context: TestContext, policy: object, settings: object = {}): Promise<Place> {
  const gateway = await GatewayDouble.start(policy, settings);
  const clients: ControlZero[] = [];
  context.after(async () => {
    for (const cz of clients) await cz.close(0.5);
    await gateway.stop();
  });
  const spool = folder(context); // gone after the clients have left it
  const open = async (options: Options = {}) => {
    const cz = new ControlZero({ apiKey: API_KEY, baseUrl: gateway.url, spool, ...options });
    clients.push(cz);
    await cz.initialize();
    return cz;
  };
  return { gateway, spool, open };
}

/** Have temporary files lie somewhere else during a test. */
export function temporaryFilesIn(context: TestContext, path: string): void {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = path;
  context.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
}

/** Return a folder that is gone after the test. */
export function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "controlzero-test-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Return all files in a folder, by their path in it. */
export function files(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf-8" }).filter((path) => statSync(join(root, path)).isFile());
}

/** Return all that is written in the files of a folder. */
export function written(root: string): string {
  return files(root)
    .map((path) => readFileSync(join(root, path), "latin1"))
    .join("\n");
}

/** Return once something is so; fail where it takes too long. */
export async function until(isSo: () => boolean, withinMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > giveUpAt) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
