/** How a value reads as text: itself if it is text, else canonical JSON (RFC 8785), the same in every language. */

import { DEPTH_MAX, type Json, type Scalar, isObject, tooDeep } from "../json.js";

const ESCAPED = /["\\\u0000-\u001f]/g;
const SHORT: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Return what a fact compares as: a text as it is, all else as canonical JSON (5000.0 is `5000`). */
export function text(value: Json): string {
  return typeof value === "string" ? value : canonical(value);
}

/** Return the canonical JSON of a value. Throws `Rejected` past `DEPTH_MAX` levels. */
export function canonical(value: Json, depth = 0): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return String(value); // RFC 8785 prescribes what ECMAScript writes
  if (value === null || typeof value === "boolean") return String(value);
  if (depth > DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) return `[${value.map((element) => canonical(element, depth + 1)).join(",")}]`;
  const members = Object.keys(value)
    .sort() // by UTF-16 code units, as RFC 8785 asks
    .map((name) => `${quoted(name)}:${canonical(value[name], depth + 1)}`);
  return `{${members.join(",")}}`;
}

/** Return every scalar in a value, however nested. Throws `Rejected` past `DEPTH_MAX` levels. */
export function scalars(value: Json): Scalar[] {
  const found: Scalar[] = [];
  collect(value, found, 1);
  return found;
}

/** Order two texts by their characters (code points), as every SDK does; JavaScript's `<` goes by UTF-16 code units. */
export function compareText(one: string, other: string): number {
  const end = Math.min(one.length, other.length);
  for (let at = 0; at < end; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Order surrogates, which stand for the highest characters, behind all other code units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function collect(value: Json, found: Scalar[], depth: number): void {
  if (typeof value !== "object") {
    found.push(value);
    return;
  }
  if (value === null) return;
  if (depth > DEPTH_MAX) throw tooDeep();
  for (const element of isObject(value) ? Object.values(value) : value) collect(element, found, depth + 1);
}

function quoted(value: string): string {
  return `"${value.replace(ESCAPED, (character) => SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}
