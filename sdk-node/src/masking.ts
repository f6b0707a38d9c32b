/** The caller's words on their way into a record: masked, and cut to the record's limits. */

import { type Json, type JsonObject, emptyObject } from "./json.js";
import { argsDigest } from "./pii/digests.js";
import { Masks, UNREADABLE, redactJson, redactText } from "./pii/redact.js";
import { canonical } from "./policy/canonical.js";
import { type Redaction, TAGS_MAX, cut } from "./records.js";
import type { Vault } from "./vault.js";

const JSON_BYTES_MAX = 256 * 1024; // of arguments or tags: the gateway takes records of 1 MiB, masks and all
const JSON_NESTING_MAX = 60; // the gateway takes records 64 deep, the record itself included
const CLEAN_TEXTS_MAX = 4_096; // texts known to hold nothing: an agent's tools, rules and users are hundreds
const CLEAN_CHARS_MAX = 200; // longer texts are prompts and do not come again

/** Masks one project's texts under its key, and the secrets of a vault wherever they stand. */
export class Masking {
  readonly #key: Uint8Array;
  readonly #masks: Masks;
  #clean = new Set<string>();

  constructor(key: Uint8Array, vault: Vault) {
    this.#key = key;
    this.#masks = new Masks(key, (text) => vault.find(text));
  }

  /** Look at every text anew: the vault holds other secrets. */
  forgetClean(): void {
    this.#clean = new Set();
  }

  /** Return a text as it may be recorded; what was masked is added to `receipts`. */
  text(said: string, path: string, charsMax: number, receipts: Redaction[]): string {
    const words = said.toWellFormed();
    if (this.#clean.has(words)) return cut(words, charsMax);
    const masked = redactText(words, this.#masks, path);
    if (masked.receipts.length > 0) receipts.push(...masked.receipts);
    else if (words.length <= CLEAN_CHARS_MAX) this.#remember(words);
    return cut(masked.text, charsMax);
  }

  /** Return arguments as they may be recorded, and the keyed digest of what they were before. */
  args(args: JsonObject, receipts: Redaction[]): { args: JsonObject; digest: string } {
    return { args: this.#json(args, "args", receipts), digest: argsDigest(this.#key, canonical(args)) };
  }

  /** Return tags as they may be recorded: no more than a record holds. */
  tags(tags: JsonObject, receipts: Redaction[]): JsonObject {
    const entries = Object.entries(tags);
    if (entries.length <= TAGS_MAX) return this.#json(tags, "tags", receipts);
    receipts.push({ path: "tags", type: UNREADABLE, count: entries.length - TAGS_MAX });
    return this.#json(Object.assign(emptyObject(), Object.fromEntries(entries.slice(0, TAGS_MAX))), "tags", receipts);
  }

  /** Return a copy of a JSON object with its personal data masked. */
  masked(value: JsonObject): JsonObject {
    return redactJson(copied(value) as JsonObject, this.#masks, "").value;
  }

  #json(value: JsonObject, path: string, receipts: Redaction[]): JsonObject {
    const copy = copied(value) as JsonObject;
    const bytes = Buffer.byteLength(JSON.stringify(copy));
    if (bytes <= JSON_BYTES_MAX) {
      const redacted = redactJson(copy, this.#masks, path);
      receipts.push(...redacted.receipts);
      if (Buffer.byteLength(JSON.stringify(redacted.value)) <= JSON_BYTES_MAX) return redacted.value;
    }
    receipts.push({ path, type: UNREADABLE }); // what is not recorded because of its size is not looked at either
    return Object.assign(emptyObject(), { cut: `${bytes} bytes` });
  }

  #remember(words: string): void {
    if (this.#clean.size >= CLEAN_TEXTS_MAX) this.#clean = new Set();
    this.#clean.add(words);
  }
}

/** Copy a value as a record may hold it: well-formed, and not too deep. */
function copied(value: Json, depth = 0): Json {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (depth >= JSON_NESTING_MAX) return Array.isArray(value) ? "Array" : "Object";
  if (Array.isArray(value)) return value.map((item) => copied(item, depth + 1));
  const members = emptyObject();
  for (const [name, item] of Object.entries(value)) members[name.toWellFormed()] = copied(item, depth + 1);
  return members;
}
