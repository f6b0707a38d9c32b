/** JSON text as values, strictly: no key twice in an object, nothing deeper than a policy is. */

import { type Json, type JsonObject, emptyObject } from "../json.js";
import { POLICY_DEPTH_MAX } from "./model.js";

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /"(?:[^"\\\u0000-\u001f]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/y;
const WORD = /^(?:[^\s,:[\]{}]+|.)/su;
const SHOWN_CHARS_MAX = 40; // of what stands where something else was expected

/** Return what a JSON text says. Throws SyntaxError, whose message says what is wrong and in which line. */
export function parseStrictly(source: string): Json {
  const reader = new Reader(source.replace(/^\ufeff/, ""));
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  #at = 0;

  constructor(readonly source: string) {}

  value(depth: number): Json {
    if (depth > POLICY_DEPTH_MAX) throw this.#wrong(`nests deeper than ${POLICY_DEPTH_MAX} levels; a policy needs six`);
    switch (this.#next()) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#list(depth);
      default:
        return this.#scalar();
    }
  }

  end(): void {
    if (this.#next() !== undefined) throw this.#wrong("more than one value");
  }

  #object(depth: number): JsonObject {
    const members = emptyObject();
    this.#at++;
    for (let isFirst = true; this.#next() !== "}"; isFirst = false) {
      if (!isFirst) this.#take(",");
      if (this.#next() !== '"') throw this.#expected("a key in quotes");
      const name = this.#scalar() as string;
      if (name in members) throw this.#wrong(`key \`${name}\` is there twice in one object; keep one`);
      this.#take(":");
      members[name] = this.value(depth + 1);
    }
    this.#at++;
    return members;
  }

  #list(depth: number): Json[] {
    const listed: Json[] = [];
    this.#at++;
    while (this.#next() !== "]") {
      if (listed.length > 0) this.#take(",");
      listed.push(this.value(depth + 1));
    }
    this.#at++;
    return listed;
  }

  #scalar(): Json {
    this.#next();
    SCALAR.lastIndex = this.#at;
    const found = SCALAR.exec(this.source);
    if (found === null) throw this.#expected("a value");
    this.#at = SCALAR.lastIndex;
    return JSON.parse(found[0]) as Json;
  }

  #take(wanted: string): void {
    if (this.#next() !== wanted) throw this.#expected(`\`${wanted}\``);
    this.#at++;
  }

  #next(): string | undefined {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.source);
    this.#at = SPACE.lastIndex;
    return this.source[this.#at];
  }

  #expected(wanted: string): SyntaxError {
    const found = WORD.exec(this.source.slice(this.#at, this.#at + SHOWN_CHARS_MAX));
    return this.#wrong(`expected ${wanted}, got ${found === null ? "the end of the text" : `\`${found[0]}\``}`);
  }

  #wrong(fact: string): SyntaxError {
    const line = this.source.slice(0, this.#at).split("\n").length;
    const [what, ...wayOut] = fact.split("; ");
    return new SyntaxError([`${what} in line ${line}`, ...wayOut].join("; "));
  }
}
