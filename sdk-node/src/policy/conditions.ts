/**
 * Conditions compiled: for one key, whether what a request says of it is what a rule wants.
 *
 * A deny rule asks whether ANY scalar in a fact passes, another rule whether ALL its elements do.
 */

import { type Json, type JsonObject, type Scalar, isObject, tooDeep } from "../json.js";
import { canonical, compareText, scalars, text } from "./canonical.js";
import { type Glob, glob, matches } from "./globs.js";
import { KEY_SEGMENTS_MAX, type Operator, type Wanted } from "./model.js";
import type { Request } from "./request.js";

const HOLE = "\0"; // before the JSON of an operator in a test's name; no pattern may hold it
const LISTS_NESTED_MAX = 64; // that a path goes through

type Have = Json | Several;
export type Getter = (request: Request) => Have;
type IdentityField = "agentId" | "userId" | "userGroup" | "sessionId";

/** The keys that say who acts. They come from the client and its context, never from arguments. */
export const IDENTITY: ReadonlyMap<string, IdentityField> = new Map([
  ["agent_id", "agentId"],
  ["agent_name", "agentId"],
  ["user_id", "userId"],
  ["user_group", "userGroup"],
  ["session_id", "sessionId"],
]);

/** The values a path led to where they are several; `isPartial` where an element of a list on the way lacks it. */
export class Several {
  constructor(
    readonly values: readonly Json[],
    readonly isPartial: boolean,
  ) {}
}

/** What one element is asked; null where it cannot be compared. `name` tells it from the other tests of its key; an operator has no `glob`. */
export interface Test {
  readonly name: string;
  readonly glob: Glob | null;
  readonly holds: (element: Json) => boolean | null;
}

/** What a rule asks of one key: `presence` (null: not asked), and any of `alternatives`, each of them whole. */
export interface Condition {
  readonly key: string;
  readonly isDeny: boolean;
  readonly get: Getter;
  readonly presence: boolean | null;
  readonly alternatives: readonly (readonly Test[])[];
}

/** Compile what a rule wants of a key. */
export function compileCondition(key: string, wanted: Wanted, { isDeny }: { isDeny: boolean }): Condition {
  const ownKey = key === "agent_name" ? "agent_id" : key;
  const get = getter(ownKey);
  if (wanted instanceof Map) return { key: ownKey, isDeny, get, ...withOperators(wanted) };
  const globs = (Array.isArray(wanted) ? wanted : [wanted]) as Scalar[];
  return { key: ownKey, isDeny, get, presence: null, alternatives: globs.map((each) => [globTest(text(each))]) };
}

/** Tell whether a condition holds for a request. An absent key matches only `not_exists`. */
export function holds(condition: Condition, request: Request): boolean {
  const { alternatives, isDeny, presence } = condition;
  if (alternatives.length === 0) return false;
  const have = condition.get(request);
  const isPartial = have instanceof Several && have.isPartial;
  if (presence !== null) return isPartial ? isDeny : (have !== null) === presence;
  if (have === null || (isPartial && !isDeny)) return false;
  return quantified(elements(have, { isDeny }), { isDeny }, (element) => passes(condition, element));
}

/** Return whether any (for a deny rule), or all of at least one (for another), pass. */
export function quantified<T>(each: readonly T[], { isDeny }: { isDeny: boolean }, pass: (one: T) => boolean): boolean {
  return isDeny ? each.some(pass) : each.length > 0 && each.every(pass);
}

/** Return what a rule sees of a value: a deny rule every scalar however nested, another the elements of a list. */
export function elements(have: Have, { isDeny }: { isDeny: boolean }): Json[] {
  if (have instanceof Several) return have.values.flatMap((value) => elements(value, { isDeny }));
  if (isDeny) return scalars(have);
  return Array.isArray(have) ? have : [have];
}

/** Return how a key's value is got: identity from the client, `args.` and `tags.` by path, else context, then tags. */
export function getter(key: string): Getter {
  const field = IDENTITY.get(key);
  if (field !== undefined) return (request) => request[field];
  const [space, ...segments] = key.split(".");
  if (segments.length > 0 && (space === "args" || space === "tags")) return (request) => follow(request[space], segments);
  const path = [space, ...segments];
  return (request) => follow(request.context, path) ?? follow(request.tags, path);
}

/** Tell whether a key's value is a member at hand: getting it never fails. */
export function isOneStep(key: string): boolean {
  return key.split(".").length <= (/^(?:args|tags)\./.test(key) ? 2 : 1);
}

/**
 * Return what a path leads to, through lists to each element: a value, `Several`, or null.
 *
 * A key that holds a dot is another way to read a path; all ways count, so that adding one hides nothing.
 */
export function follow(value: JsonObject, segments: readonly string[]): Have {
  if (segments.length === 1) return value[segments[0]] ?? null;
  const found: Json[] = [];
  const isPartial = !collect(value, segments.slice(0, KEY_SEGMENTS_MAX), found, 0);
  if (found.length === 0) return null;
  return found.length === 1 && !isPartial ? found[0] : new Several(found, isPartial);
}

/** Append what the path leads to; tell whether every element of each list on the way has it. */
function collect(value: Json, segments: readonly string[], found: Json[], depth: number): boolean {
  if (segments.length === 0) {
    if (value !== null) found.push(value);
    return value !== null;
  }
  if (Array.isArray(value)) {
    if (depth >= LISTS_NESTED_MAX) throw tooDeep();
    return value.map((element) => collect(element, segments, found, depth + 1)).every(Boolean);
  }
  if (!isObject(value)) return false;
  let isLed = false;
  for (let taken = 1; taken <= segments.length; taken++) {
    const next = value[segments.slice(0, taken).join(".")] ?? null;
    if (next !== null && collect(next, segments.slice(taken), found, depth)) isLed = true;
  }
  return isLed;
}

function passes({ alternatives, isDeny }: Condition, element: Json): boolean {
  return alternatives.some((tests) => tests.every((test) => test.holds(element) ?? isDeny));
}

function withOperators(wanted: ReadonlyMap<Operator, Scalar | readonly Scalar[]>): Pick<Condition, "presence" | "alternatives"> {
  const presences = new Set<boolean>();
  const tests: Test[] = [];
  for (const [operator, value] of wanted) {
    if (operator === "exists" || operator === "not_exists") presences.add((operator === "exists") === value);
    else tests.push(operatorTest(operator, value));
  }
  if (presences.size === 2 || (tests.length > 0 && presences.has(false))) return { presence: null, alternatives: [] }; // there and not there: never
  const [presence = null] = presences;
  return { presence: tests.length > 0 ? null : presence, alternatives: [tests] };
}

/** Return the test that a glob is. */
export function globTest(pattern: string): Test {
  const wanted = glob(pattern);
  return { name: pattern, glob: wanted, holds: (element) => matches(wanted, text(element)) };
}

/** Return the test that an operator other than exists and not_exists is. */
function operatorTest(operator: Operator, value: Scalar | readonly Scalar[]): Test {
  return { name: HOLE + canonical({ [operator]: value as Json }), glob: null, holds: operatorHolds(operator, value) };
}

function operatorHolds(operator: Operator, value: Scalar | readonly Scalar[]): Test["holds"] {
  switch (operator) {
    case "gt":
      return ordered(value as Scalar, (order) => order > 0);
    case "gte":
      return ordered(value as Scalar, (order) => order >= 0);
    case "lt":
      return ordered(value as Scalar, (order) => order < 0);
    case "lte":
      return ordered(value as Scalar, (order) => order <= 0);
    default: {
      const literals = new Set((Array.isArray(value) ? value : [value]).map(text));
      return (element) => literals.has(text(element)) !== (operator === "not_in");
    }
  }
}

function ordered(bound: Scalar, isWanted: (order: number) => boolean): Test["holds"] {
  if (typeof bound === "string") return (element) => (typeof element === "string" ? isWanted(compareText(element, bound)) : null);
  return (element) => (typeof element === "number" ? isWanted(element - Number(bound)) : null);
}
