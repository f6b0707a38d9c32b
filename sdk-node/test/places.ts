/** Where a test's files lie, and what lies there. */

import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

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
