/** A project's secrets in an agent's memory: looked up without a network, masked wherever they turn up, wiped at the end. */

import { inspect } from "node:util";
import { Rejected } from "./errors.js";
import type { Found } from "./pii/checks.js";
import { nearest } from "./policy/near.js";

const MASKED_BYTES_MIN = 4; // a shorter secret is part of ordinary words, which would all be masked

/** Secrets by name, each as bytes that are overwritten when they are let go. It is never shown. */
export class Vault {
  #held = new Map<string, Buffer>();

  /** Hold these secrets and no others. */
  fill(secrets: Readonly<Record<string, string>>): void {
    this.wipe();
    for (const [name, secret] of Object.entries(secrets)) this.#held.set(name, Buffer.from(secret));
  }

  /** Overwrite what is held, and hold nothing. */
  wipe(): void {
    for (const secret of this.#held.values()) secret.fill(0);
    this.#held.clear();
  }

  /** Return the secret of that name. Throws `Rejected`, which says what names there are. */
  get(name: string): string {
    const secret = this.#held.get(name);
    if (secret !== undefined) return secret.toString();
    const names = [...this.#held.keys()].sort();
    if (names.length === 0) {
      throw new Rejected(`secret \`${name}\`: this key may read no secret of the project; \`cz secrets set\` keeps one, and the key needs the scope secrets:read`);
    }
    const meant = nearest(name, names);
    const guess = meant === null ? "" : `; did you mean \`${meant}\`?`;
    throw new Rejected(`secret \`${name}\`: there is none of that name, expected one of ${names.join(", ")}${guess}`);
  }

  /** Return where secrets stand in a text, as they are or as JSON writes them; without overlaps, the longest first, in order. */
  find(text: string): Found[] {
    const found: Found[] = [];
    for (const value of this.#spellings()) {
      for (let start = text.indexOf(value); start >= 0; start = text.indexOf(value, start + value.length)) {
        const end = start + value.length;
        if (found.every((other) => end <= other.start || start >= other.end)) found.push({ start, end, value });
      }
    }
    return found.sort((one, other) => one.start - other.start);
  }

  [inspect.custom](): string {
    return `<Vault: ${this.#held.size} hidden>`;
  }

  toJSON(): string {
    return `<Vault: ${this.#held.size} hidden>`;
  }

  #spellings(): string[] {
    if (this.#held.size === 0) return [];
    const secrets = [...this.#held.values()].map(String);
    const escaped = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
    const spellings = [...new Set([...secrets, ...escaped])].filter((spelling) => Buffer.byteLength(spelling) >= MASKED_BYTES_MIN);
    return spellings.sort((one, other) => other.length - one.length);
  }
}
