/** The texts inside a JSON value: laid side by side to be searched at once, put back where they stood, named by path. */

import { type Json, type JsonObject } from "../json.js";

const BESIDE = "\x1f"; // stands between the name of a field and its value, so that "phone" can speak for 4155550132
const WHOLE_MAX = 1e21; // from here on a number is written with an exponent and its digits are no one's number
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
const PLAIN = /^[0-9A-Za-z_-]+$/;

type Holder = JsonObject | Json[];
type Name = string | number;
interface Place {
  readonly holder: Holder;
  readonly name: Name;
}

/**
 * Every member of a JSON value, in order: `pieces[i]` is its name, BESIDE and its text, which begins at `textsAt[i]`.
 *
 * So the name can speak for the text ("phone" for 4155550132). The items of a list go by the name of the list; a
 * whole number is the text of its digits; a value that is no text leaves its name alone. Pieces are for the caller
 * to change; `putBack` then changes the value, which the caller must own.
 */
export class Members {
  readonly pieces: string[] = [];
  readonly textsAt: number[] = [];
  readonly #root: Json[];
  readonly #within = new Map<Holder, Place>();
  readonly #places: Place[] = [];
  readonly #newNames = new Map<Holder, Map<string, string>>();

  constructor(value: Json) {
    this.#root = [value];
    this.#gather(this.#root, "");
  }

  /** Say whether a piece is a list's item, whose name is only borrowed. */
  isItem(place: number): boolean {
    return typeof this.#places[place].name === "number";
  }

  /** Write changed pieces into the value; names are kept apart where two became the same. */
  putBack(changed: readonly { place: number; inName: boolean }[]): void {
    for (const { place, inName } of changed) {
      const { holder, name } = this.#places[place];
      if (!inName) (holder as Record<Name, Json>)[name] = this.pieces[place].slice(this.textsAt[place]);
      else if (!Array.isArray(holder)) this.#rename(holder, String(name), this.pieces[place].slice(0, this.textsAt[place] - 1));
    }
    for (const [holder, names] of this.#newNames) {
      const items = Object.entries(holder);
      for (const [name] of items) delete (holder as JsonObject)[name];
      for (const [name, item] of items) (holder as JsonObject)[names.get(name) ?? name] = item;
    }
  }

  /** Name where a piece stands, such as args.items[0].name; names in it are masked as they are in the value. */
  path(place: number, base: string): string {
    const steps: string[] = [];
    let at: Place | undefined = this.#places[place];
    while (at !== undefined && at.holder !== this.#root) {
      const { holder, name }: Place = at;
      steps.push(step(typeof name === "number" ? name : (this.#newNames.get(holder)?.get(name) ?? name)));
      at = this.#within.get(holder);
    }
    return base + steps.reverse().join("");
  }

  #gather(holder: Holder, around: string): void {
    let beside = around;
    const entries: Iterable<[Name, Json]> = Array.isArray(holder) ? holder.entries() : Object.entries(holder);
    for (const [name, item] of entries) {
      if (typeof name === "string") beside = name;
      this.#places.push({ holder, name });
      this.textsAt.push(beside.length + 1);
      this.pieces.push(`${beside}${BESIDE}${textOf(item)}`);
      if (typeof item !== "object" || item === null) continue;
      this.#within.set(item, { holder, name });
      this.#gather(item, beside);
    }
  }

  #rename(holder: JsonObject, name: string, newName: string): void {
    const names = this.#newNames.get(holder) ?? new Map<string, string>();
    if (names.has(name)) return;
    const taken = new Set(Object.keys(holder).map((other) => names.get(other) ?? other));
    let free = newName;
    for (let number = 2; taken.has(free); number++) free = `${newName}#${number}`;
    this.#newNames.set(holder, names.set(name, free));
  }
}

function textOf(item: Json): string {
  if (typeof item === "string") return item;
  return typeof item === "number" && Number.isInteger(item) && Math.abs(item) < WHOLE_MAX ? String(item) : "";
}

function step(name: Name): string {
  if (typeof name === "number") return `[${name}]`;
  if (IDENTIFIER.test(name) || PLAIN.test(name)) return `.${name}`;
  const quoted = JSON.stringify(name).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `[${quoted}]`;
}
