/**
 * JSON values, and the border at which a caller's values become such.
 *
 * Objects have no prototype: a fact named `constructor` is there only if the caller put it there.
 */

import { Rejected } from "./errors.js";

export type Scalar = boolean | number | string;
export type Json = null | Scalar | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

export const DEPTH_MAX = 256; // of nested arguments; past it they are not judged but refused
const COPIED_DEPTH_MAX = 1_000; // what holds itself ends here
export const NOTHING: JsonObject = Object.freeze(Object.create(null)) as JsonObject;

/** Return an empty object without a prototype. */
export function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tell whether a value is one thing: not null, no list, no object. */
export function isScalar(value: Json | undefined): value is Scalar {
  return value !== null && value !== undefined && typeof value !== "object";
}

/** Return what JSON has of any value. What it does not have (a function, NaN) becomes the name of its type. */
export function asJson(value: unknown, depth = 0): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : "Number";
    case "bigint":
      return Number.isFinite(Number(value)) ? Number(value) : "BigInt";
    case "undefined":
      return null;
    case "object":
      return value === null ? null : objectAsJson(value, depth);
    default:
      return typeof value === "function" ? "Function" : "Symbol";
  }
}

/** Return a caller's object as a JSON object; what is no object is the one member `name`. */
export function asJsonObject(value: unknown, name: string): JsonObject {
  if (value === undefined || value === null) return NOTHING;
  const copied = asJson(value);
  return isObject(copied) ? copied : { __proto__: null, [name]: copied } as unknown as JsonObject;
}

function objectAsJson(value: object, depth: number): Json {
  if (depth > COPIED_DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) return Array.from(value, (element) => asJson(element, depth + 1));
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.constructor.name;
  if (value instanceof Map) return membersOf(value.entries(), depth);
  if (value instanceof Set) return Array.from(value, (element) => asJson(element, depth + 1));
  if (value instanceof String || value instanceof Number || value instanceof Boolean) return asJson(value.valueOf(), depth);
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return asJson(toJSON.call(value), depth + 1);
  return membersOf(Object.entries(value), depth);
}

function membersOf(entries: Iterable<[unknown, unknown]>, depth: number): JsonObject {
  const members = emptyObject();
  for (const [name, element] of entries) {
    if (element !== undefined) members[String(name)] = asJson(element, depth + 1);
  }
  return members;
}

/** Return the error for arguments that nest too deep to be judged (or hold themselves). */
export function tooDeep(): Rejected {
  return new Rejected(`arguments nest deeper than ${DEPTH_MAX} levels or hold themselves; pass what the action needs, flatter`);
}
