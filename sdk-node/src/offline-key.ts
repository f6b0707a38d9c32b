/** The project's key where no server gives one: derived from a file of the spool that only its owner reads, as in the Python SDK. */

import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Tampered, codeOf } from "./errors.js";
import { OWNER_ONLY_FILE, OWNER_ONLY_FOLDER } from "./recorder/owner.js";
import type { Told } from "./told.js";

const KEY_BYTES = 32;

/** Return the project's key from `spool`/keys/master.key, made on first use; else one for this process. Throws `Tampered` where others could read it. */
export function offlineKey(spool: string, projectId: string, told: Told): Buffer {
  try {
    return createHmac("sha256", masterKey(join(spool, "keys", "master.key"))).update(`cz/project/${projectId}`).digest();
  } catch (error) {
    if (error instanceof Tampered) throw error;
    told.say(`The key for masking cannot be kept on disk, so this run's masks compare with no other's: ${(error as Error).message}.`);
    return randomBytes(KEY_BYTES);
  }
}

function masterKey(path: string): Buffer {
  if (!existsSync(path)) create(path);
  const mode = statSync(path).mode & 0o777;
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new Tampered(
      `${path}: mode ${mode.toString(8).padStart(4, "0")} lets others read it, expected 0600; run \`chmod 600 ${path}\` and ask who could read it`,
    );
  }
  const key = readFileSync(path);
  if (key.length !== KEY_BYTES) {
    throw new Tampered(`${path}: ${key.length} bytes, expected ${KEY_BYTES}; restore it from a backup, a new one cannot take its place`);
  }
  return key;
}

/** Write a key whole, unless another is there by then: linking fails where renaming would overwrite. */
function create(path: string): void {
  mkdirSync(dirname(path), { mode: OWNER_ONLY_FOLDER, recursive: true });
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(draft, randomBytes(KEY_BYTES), { mode: OWNER_ONLY_FILE, flag: "wx", flush: true });
  chmodSync(draft, OWNER_ONLY_FILE);
  try {
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft);
  }
}
