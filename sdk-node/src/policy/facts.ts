/**
 * What is kept of the facts a bundle reads, so that a decision can be judged again after personal data in it was masked.
 *
 * The facts of a decision are a JSON object by key:
 *
 *     "tier": "gold"                            a context key the bundle reads, without personal data
 *     "contact": {"m": "[email:…]", "p": [0]}   one with: its masked text, and which of the bundle's tests of that key held
 *     "args.to": {"p": [0, 2]}                  an argument masked in the record: which tests held
 *     "offers.to": {"s": [{"p": [1]}, …], "e": […]}   what it offered as resources; a list or an object, as rules see it
 *     "@mcp": "mcp://shell/run"                 the MCP URL reached, where the explicit resource was another (true: it is masked)
 *     "@more": true                             the context held more than is kept here
 *     "args.cc": {}                             it was not there, where a masked key now could be it
 *     "@hidden": true                           keys of the arguments are masked; all that they offered is here
 *
 * Tests are numbered as in `CompiledPolicy.patterns(key)`, never spelled out: a literal that matched would be the value.
 * A number below zero is a test that could not compare the value (-1 is number 0).
 */

import { type Json, type JsonObject, NOTHING, emptyObject, isObject, isScalar } from "../json.js";
import { RESOURCE_KEPT_CHARS_MAX, type Redaction, charCount } from "../records.js";
import { text } from "./canonical.js";
import { IDENTITY, Several, type Test, elements, getter } from "./conditions.js";
import type { CompiledPolicy } from "./evaluate.js";
import { MCP_CALL, type Request } from "./request.js";
import { offersOf } from "./resources.js";

const FACT_CHARS_MAX = 1_024; // of a context value; of a longer one only the answers are kept
const FACT_ITEMS_MAX = 256; // of a list's; of a longer one nothing is kept, and a rule that reads it cannot be replayed
const TOO_LONG = "[hidden:aaaaaaaaaa]"; // the mask of a context value too long to keep
const ELSEWHERE: ReadonlySet<string> = new Set([...IDENTITY.keys(), "resource", "tags"]); // context keys with a place of their own in a record
const PLACE = /^[^.[]+(?:\.[^.[]+)?/; // a field, or a member of it

type Redact = (value: JsonObject) => JsonObject;
interface Seen {
  readonly scalars: readonly Json[];
  readonly elements: readonly Json[];
  readonly isPartial: boolean;
}

/**
 * Return the facts to record with a decision, null where there is nothing to note.
 *
 * `request` is the call as it was judged, `redactions` what was masked in its record since, and `redact` masks the
 * personal data in a copy of a JSON object.
 */
export function recordFacts(compiled: CompiledPolicy, request: Request, redactions: readonly Redaction[], redact: Redact): JsonObject | null {
  const isCut = request.resource !== null && charCount(request.resource) > RESOURCE_KEPT_CHARS_MAX;
  const found = contextFacts(compiled, request, redact);
  if (redactions.length > 0 || isCut) {
    const paths = new Set(redactions.map(({ path }) => path));
    if (isCut) paths.add("resource");
    const [offers, allNoted] = offered(compiled, request, paths, redact);
    Object.assign(found, answers(compiled, request, paths), offers);
    if (allNoted && [...paths].some((path) => path === "args" || path.startsWith('args["'))) found["@hidden"] = true;
    if (paths.has("resource") && request.actions.includes(MCP_CALL, 1)) found["@mcp"] = true;
  }
  if (request.reached !== null) found["@mcp"] = request.reached;
  return Object.keys(found).length > 0 ? found : null;
}

/** Note what the bundle reads of the context beyond who acts, and whether there is more. */
function contextFacts(compiled: CompiledPolicy, request: Request, redact: Redact): JsonObject {
  const found = emptyObject();
  const beyond = Object.keys(request.context).filter((key) => !ELSEWHERE.has(key));
  const odd = compiled.reads.filter((key) => IDENTITY.has(key) && isOdd(getter(key)(request)));
  if (beyond.length === 0 && odd.length === 0) return found;
  const seen = new Map<string, Json | Seen>();
  for (const key of [...odd, ...compiled.reads.filter(isBare)]) {
    const have = IDENTITY.has(key) ? getter(key)(request) : inContext(request, key);
    if (have !== null) seen.set(key, seenOf(have));
  }
  const plain = emptyObject();
  for (const [key, value] of seen) plain[key] = asText(value);
  const masked = seen.size > 0 ? redact(plain) : plain;
  for (const [key, value] of seen) found[key] = maskedFact(value, masked[key], compiled.patterns(key));
  if (beyond.some((key) => !(key in found))) found["@more"] = true;
  return found;
}

function isOdd(identity: unknown): boolean {
  return identity !== null && typeof identity !== "string";
}

/** Return a bare key's value if the context has it; what tags have is in the record. */
function inContext(request: Request, key: string): Json | Several {
  return getter(key)({ ...request, tags: NOTHING });
}

/** Return a value as rules see it: a scalar as it is, all else as its scalars and its elements (lists and objects too). */
function seenOf(have: Json | Several): Json | Seen {
  if (!(have instanceof Several) && isScalar(have)) return have;
  const seen = {
    scalars: elements(have, { isDeny: true }),
    elements: elements(have, { isDeny: false }),
    isPartial: have instanceof Several && have.isPartial,
  };
  return Math.max(seen.scalars.length, seen.elements.length) > FACT_ITEMS_MAX ? { lost: true } : seen;
}

function isSeen(value: Json | Seen): value is Seen {
  return typeof value === "object" && value !== null && "scalars" in value;
}

/** Return what rules see with each list or object among it as its text. */
function asText(seen: Json | Seen): Json {
  if (!isSeen(seen)) return seen;
  return { s: [...seen.scalars], e: seen.elements.map((item) => (typeof item === "object" && item !== null ? text(item) : item)) };
}

/** Put a masked text and the tests that held in the place of each scalar that was masked. */
function maskedFact(seen: Json | Seen, masked: Json | undefined, tests: readonly Test[]): Json {
  if (!isSeen(seen)) return isObject(seen) ? seen : maskedItem(seen, masked, tests);
  const { s = null, e = null } = isObject(masked) ? masked : {};
  return fact({ s: eachMasked(seen.scalars, s, tests), e: eachMasked(seen.elements, e, tests) }, seen.isPartial);
}

function eachMasked(seen: readonly Json[], masked: Json, tests: readonly Test[]): Json[] {
  const others = Array.isArray(masked) && masked.length === seen.length ? masked : [];
  return seen.map((item, place) => maskedItem(item, others[place], tests));
}

function maskedItem(item: Json, masked: Json | undefined, tests: readonly Test[]): Json {
  if (masked === item && !(typeof item === "string" && charCount(item) > FACT_CHARS_MAX)) return item;
  const isShown = typeof masked === "string" && masked !== item && charCount(masked) <= FACT_CHARS_MAX;
  return { m: isShown ? masked : TOO_LONG, p: held(item, tests) };
}

function held(item: Json, tests: readonly Test[]): number[] {
  return tests.flatMap((test, number) => {
    const answer = test.holds(item);
    return answer === null ? [-1 - number] : answer ? [number] : [];
  });
}

/** Note what the bundle's tests say of values that the record holds only masked. */
function answers(compiled: CompiledPolicy, request: Request, paths: ReadonlySet<string>): JsonObject {
  const found = emptyObject();
  const places = placesOf(paths);
  const hasHiddenKeys = [...paths].some((path) => path.includes('["'));
  for (const key of compiled.reads) {
    const tests = compiled.patterns(key);
    if (key === "resource") {
      if (paths.has(key) && request.resource !== null) found[key] = { p: held(request.resource, tests) };
      continue;
    }
    if (key === "args.*" || !isMasked(key, places) || (isBare(key) && inContext(request, key) !== null)) continue;
    const have = getter(key)(request);
    if (have === null) {
      if (hasHiddenKeys) found[key] = {}; // a masked key cannot be it
    } else if (!(IDENTITY.has(key) && typeof have !== "string")) found[key] = answered(seenOf(have), tests); // such an identity is a context fact
  }
  return found;
}

/** Keep of a value only what the tests said of it, or of each of its parts. */
function answered(seen: Json | Seen, tests: readonly Test[]): Json {
  if (!isSeen(seen)) return isObject(seen) ? seen : { p: held(seen, tests) };
  const view = (items: readonly Json[]) => items.map((item) => ({ p: held(item, tests) }));
  return fact({ s: view(seen.scalars), e: view(seen.elements) }, seen.isPartial);
}

/** Note which resource patterns the masked arguments met, and say whether that is all: an argument may be called by a secret. */
function offered(compiled: CompiledPolicy, request: Request, paths: ReadonlySet<string>, redact: Redact): [JsonObject, boolean] {
  const found = emptyObject();
  let allNoted = true;
  if (!compiled.reads.includes("resource")) return [found, allNoted];
  const places = placesOf(paths);
  const isAny = compiled.reads.includes("args.*");
  const tests = compiled.patterns("resource");
  for (const offer of offersOf(request)) {
    if (offer.key === "resource" || !(isAny || compiled.reads.includes(offer.key)) || !isMasked(offer.key, places)) continue;
    const name = offer.key.slice("args.".length);
    const noted = offer.scalars.map((each) => ({ p: held(each, tests) }));
    if (!(name in redact({ [name]: null }))) {
      // Its own key is a secret. What met no pattern decided nothing.
      if (noted.some(({ p }) => p.length > 0)) allNoted = false;
      continue;
    }
    found[`offers.${name}`] = noted.length <= FACT_ITEMS_MAX ? { s: noted, e: offer.elements === null ? [] : noted } : { lost: true };
  }
  return [found, allNoted];
}

function fact(views: { s: Json[]; e: Json[] }, isPartial: boolean): Json {
  return isPartial ? { ...views, partial: true } : views;
}

/** Tell whether something was masked at or below the place a key reads, or so that this cannot be told. */
function isMasked(key: string, places: ReadonlySet<string>): boolean {
  if (IDENTITY.has(key)) return places.has(key);
  const [field, member] = (isBare(key) ? `tags.${key}` : key).split(".");
  return places.has(field) || places.has(`${field}.${member}`);
}

/** Return the fields, and the members directly in them, at or below which something was masked; of an odd name only the field. */
function placesOf(paths: Iterable<string>): Set<string> {
  return new Set([...paths].flatMap((path) => PLACE.exec(path)?.[0] ?? []));
}

function isBare(key: string): boolean {
  return key !== "resource" && !IDENTITY.has(key) && !key.startsWith("args.") && !key.startsWith("tags.");
}
