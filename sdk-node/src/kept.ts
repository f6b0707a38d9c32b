/**
 * What a client keeps on disk of bundles: the last one it took, for a start without its server, and what it trusts since.
 *
 *     <spool>/bundles/<name>    the bundle and what came with it (0600: it holds the project's key); its mtime is when the
 *                               server last said that it is in force
 *     <spool>/trust/<name>      the version and digest of the last bundle taken, and the keys that signed it: it stays where
 *                               the bundle is deleted or replaced by an older one
 */

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BundleTamperError, codeOf } from "./errors.js";
import type { Order } from "./orders.js";
import { checkOwner } from "./recorder/folders.js";
import { OWNER_ONLY_FILE, OWNER_ONLY_FOLDER } from "./recorder/owner.js";
import type { Settings } from "./settings.js";
import type { Trust } from "./trust.js";

/** A bundle and what came with it. */
export interface KeptBundle {
  readonly czpolicy: Buffer;
  readonly signingKey: string;
  readonly etag: string | null;
  readonly projectKey: string | null;
  readonly orders: readonly Order[];
}

/** What is kept for one server and project, as they are asked for; without both, for one file. */
export class Kept {
  readonly #bundlePath: string;
  readonly #trustPath: string;
  readonly #spool: string;

  constructor({ baseUrl, projectId, apiKey, policyFile, spool }: Settings) {
    const name = createHash("sha256").update(`node\n${baseUrl}\n${projectId ?? apiKey ?? policyFile}`).digest("hex").slice(0, 32);
    this.#spool = spool;
    this.#bundlePath = join(spool, "bundles", name);
    this.#trustPath = join(spool, "trust", name);
  }

  /** Return the bundle kept and when its server last confirmed it (microseconds), null where there is none that can be read. */
  readBundle(): { kept: KeptBundle; confirmedAt: number } | null {
    try {
      checkOwner(this.#spool);
      const kept = JSON.parse(readFileSync(this.#bundlePath, "utf-8")) as Omit<KeptBundle, "czpolicy"> & { czpolicy: string };
      const confirmedAt = Math.floor(statSync(this.#bundlePath).mtimeMs * 1000);
      return { kept: { ...kept, czpolicy: Buffer.from(kept.czpolicy, "base64") }, confirmedAt };
    } catch {
      return null; // there is none, or it cannot be read: then there is nothing to fall back to
    }
  }

  /** Return what is trusted, null before the first bundle. Throws `BundleTamperError` for a file that is none, or what the disk says. */
  readTrust(): Trust | null {
    const content = this.#readTrustFile();
    if (content === null) return null;
    try {
      const said = JSON.parse(content) as Omit<Trust, "keys"> & { keys: Record<string, string> };
      if (typeof said.projectId !== "string" || !Number.isInteger(said.version) || typeof said.digest !== "string") throw new TypeError("no trust");
      return { ...said, keys: new Map(Object.entries(said.keys).map(([id, key]) => [id, Buffer.from(key, "base64")])) };
    } catch (error) {
      throw new BundleTamperError(
        `${this.#trustPath}: it cannot be read (${(error as Error).message}), so an older bundle would pass for a newer one; delete it ` +
          "once you know who changed it",
        { cause: error },
      );
    }
  }

  #readTrustFile(): string | null {
    try {
      checkOwner(this.#spool);
      return readFileSync(this.#trustPath, "utf-8");
    } catch (error) {
      if (codeOf(error) === "ENOENT") return null;
      throw error;
    }
  }

  /** Keep a bundle (null: only the trust) unless another process has kept a newer one. Throws where the disk does not take it. */
  keep(kept: KeptBundle | null, trust: Trust, at: number): void {
    const known = this.readTrust();
    if (known !== null && known.version > trust.version) return;
    if (kept !== null) {
      write(this.#bundlePath, JSON.stringify({ ...kept, czpolicy: kept.czpolicy.toString("base64") }));
      this.confirm(at);
    }
    const keys = Object.fromEntries([...trust.keys].map(([id, key]) => [id, key.toString("base64")]));
    write(this.#trustPath, JSON.stringify({ ...trust, keys }));
  }

  /** Note that the server said at `at` (microseconds) that the bundle kept is in force. Throws where the disk does not take it. */
  confirm(at: number): void {
    utimesSync(this.#bundlePath, at / 1e6, at / 1e6);
  }
}

/** Write a file whole and durably, for its owner alone. */
function write(path: string, content: string): void {
  mkdirSync(dirname(path), { mode: OWNER_ONLY_FOLDER, recursive: true });
  const draft = join(dirname(dirname(path)), `.${randomBytes(8).toString("hex")}`);
  writeFileSync(draft, content, { mode: OWNER_ONLY_FILE, flag: "wx", flush: true });
  renameSync(draft, path);
}
