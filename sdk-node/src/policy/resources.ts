/**
 * What a call offers as resources, and whether a rule is about one of them.
 *
 * Beside the explicit resource every top-level scalar argument offers `key/value`; of a list or an object a deny rule
 * sees every scalar, another rule all elements or nothing.
 */

import { type Json, type JsonObject, isScalar } from "../json.js";
import { compareText, scalars, text } from "./canonical.js";
import { quantified } from "./conditions.js";
import { type Glob, type Matcher, anyMatcher, isEverything } from "./globs.js";
import type { Request } from "./request.js";

/** The resources a rule is about. `everything` also matches a call without any. */
export interface Resources {
  readonly everything: boolean;
  readonly globs: readonly Glob[];
  readonly passes: Matcher;
}

/** What one argument (or the explicit resource) offers; `elements` is null where a rule other than a deny sees nothing. */
export interface Offer {
  readonly key: string;
  readonly scalars: readonly string[];
  readonly elements: readonly string[] | null;
}

/** Compile the resource patterns of a rule. */
export function compileResources(globs: readonly Glob[]): Resources {
  return { everything: globs.some(isEverything), globs, passes: anyMatcher(globs) };
}

/** Return what a call offers, the explicit resource first. */
export function offersOf(request: Request): Offer[] {
  const found: Offer[] = [];
  if (request.resource !== null) found.push({ key: "resource", scalars: [request.resource], elements: [request.resource] });
  if (request.reached !== null) found.push({ key: "resource", scalars: [request.reached], elements: null });
  for (const [key, value] of Object.entries(request.args)) {
    if (value === null || key.includes("/")) continue;
    const seen = scalars(value).map((scalar) => offered(key, scalar));
    const listed = Array.isArray(value) ? value : [value];
    found.push({ key: `args.${key}`, scalars: seen, elements: seen.length > 0 && listed.every(isScalar) ? seen : null });
  }
  return found;
}

/** Tell whether a call offers what a rule is about, which is not everything. */
export function meets({ passes }: Resources, offers: readonly Offer[], { isDeny }: { isDeny: boolean }): boolean {
  return offers.some((offer) => quantified((isDeny ? offer.scalars : offer.elements) ?? [], { isDeny }, passes));
}

/** Return the resource to record where none was explicit: the one the deciding rule named, else the only scalar. */
export function namedResource(resources: Resources | null, request: Request, offers: readonly Offer[]): string | null {
  if (resources !== null && !resources.everything) {
    const named = offers.flatMap((offer) => offer.scalars).filter(resources.passes);
    if (named.length > 0) return named.reduce((least, each) => (compareText(each, least) < 0 ? each : least));
  }
  return onlyScalar(request.args);
}

function onlyScalar(args: JsonObject): string | null {
  const found = Object.entries(args).filter(([key, value]) => isScalar(value) && !key.includes("/"));
  return found.length === 1 ? offered(found[0][0], found[0][1]) : null;
}

/** Return `key/value`, the resource a scalar argument offers. */
export function offered(key: string, scalar: Json): string {
  return `${key}/${text(scalar)}`;
}
