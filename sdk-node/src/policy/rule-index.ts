/**
 * Finds the rules a request may meet without asking each.
 *
 * A rule is filed under one thing it asks for: its actions, its resources or the value of one fact, whichever it shares
 * with the fewest others. Who is found is still asked all there is to ask; who is not found does not match.
 */

import { type Json, isScalar } from "../json.js";
import { text } from "./canonical.js";
import { type Condition, type Getter, getter, isOneStep } from "./conditions.js";
import type { Glob } from "./globs.js";
import type { Request } from "./request.js";
import { type Resources, offered } from "./resources.js";

const ASKED_MAX = 6; // rules up to which asking each is as fast
const ACTION = "@action"; // no fact is called so
const RESOURCE = "@resource";

/** What the index needs to know of a rule. */
export interface Indexed {
  readonly actions: readonly Glob[];
  readonly resources: Resources;
  readonly conditions: readonly Condition[];
}

/** One thing a rule asks for: a text that passes one of these globs, each a literal or with a beginning. */
interface Ask {
  readonly key: string;
  readonly globs: readonly Glob[];
}

/** The rules of a bundle, filed. */
export class RuleIndex<Rule extends Indexed> {
  readonly #rules: readonly Rule[];
  readonly #unfiled: number[] = [];
  readonly #texts = new Map<string, TextIndex>();
  readonly #facts: { readonly get: Getter; readonly texts: TextIndex }[] = [];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    const asks = rules.map(rules.length > ASKED_MAX ? asksOf : () => []);
    const crowds = new Map<string, number>();
    for (const name of asks.flat().flatMap(namesOf)) crowds.set(name, (crowds.get(name) ?? 0) + 1);
    const crowdOf = (ask: Ask) => Math.max(...namesOf(ask).map((name) => crowds.get(name) as number));
    asks.forEach((all, place) => {
      const [ask] = all.map((each) => ({ ...each, crowd: crowdOf(each) })).sort((one, other) => one.crowd - other.crowd);
      if (ask === undefined) this.#unfiled.push(place);
      else this.#textsOf(ask.key).add(place, ask.globs);
    });
  }

  /** Return the rules that a request may meet, in their order. */
  candidates(request: Request): readonly Rule[] {
    if (this.#unfiled.length === this.#rules.length) return this.#rules;
    const found = new Set(this.#unfiled);
    for (const action of request.actions) this.#texts.get(ACTION)?.find(action, found);
    this.#findByResource(request, found);
    for (const { get, texts } of this.#facts) {
      const have = get(request);
      if (have === null) continue;
      if (typeof have === "object") texts.findAll(found);
      else texts.find(text(have), found);
    }
    return [...found].sort((one, other) => one - other).map((place) => this.#rules[place]);
  }

  #findByResource({ resource, reached, args }: Request, found: Set<number>): void {
    const texts = this.#texts.get(RESOURCE);
    if (texts === undefined) return;
    if (resource !== null) texts.find(resource, found);
    if (reached !== null) texts.find(reached, found);
    for (const [key, value] of Object.entries(args)) {
      if (!texts.mayMeet(`${key}/`)) continue;
      const several: readonly Json[] = Array.isArray(value) ? value : [value];
      if (several.every(isScalar)) for (const each of several) texts.find(offered(key, each), found);
      else texts.findAll(found); // a rule may see what is nested
    }
  }

  #textsOf(key: string): TextIndex {
    let texts = this.#texts.get(key);
    if (texts === undefined) {
      texts = new TextIndex();
      this.#texts.set(key, texts);
      if (key !== ACTION && key !== RESOURCE) this.#facts.push({ get: getter(key), texts });
    }
    return texts;
  }
}

/** Places by globs: by the literal, or by what comes before the first star. */
class TextIndex {
  readonly #all: number[] = [];
  readonly #literals = new Map<string, number[]>();
  readonly #beginnings = new Map<string, number[]>();
  readonly #lengths = new Set<number>(); // of the beginnings
  readonly #keys = new Set<string>(); // with the slash, before the value in `key/value`
  #isLoose = false; // some beginning ends before the slash

  add(place: number, globs: readonly Glob[]): void {
    this.#all.push(place);
    for (const { head, isLiteral } of globs) {
      const places = isLiteral ? this.#literals : this.#beginnings;
      const there = places.get(head);
      if (there === undefined) places.set(head, [place]);
      else there.push(place);
      if (!isLiteral) this.#lengths.add(head.length);
      const slash = head.indexOf("/");
      if (slash >= 0) this.#keys.add(head.slice(0, slash + 1));
      else if (!isLiteral) this.#isLoose = true;
    }
  }

  /** Add the places of all globs that a text may pass. */
  find(text: string, found: Set<number>): void {
    for (const place of this.#literals.get(text) ?? []) found.add(place);
    for (const length of this.#lengths) {
      for (const place of this.#beginnings.get(text.slice(0, length)) ?? []) found.add(place);
    }
  }

  findAll(found: Set<number>): void {
    for (const place of this.#all) found.add(place);
  }

  /** Tell whether a text that begins with this `key/` may be found. */
  mayMeet(key: string): boolean {
    return this.#isLoose || this.#keys.has(key);
  }
}

/** Return what of a rule can be looked up. A condition that leads through lists is not: to follow it may be refused. */
function asksOf({ actions, resources, conditions }: Indexed): Ask[] {
  const asks = [{ key: ACTION, globs: actions }, ...(resources.everything ? [] : [{ key: RESOURCE, globs: resources.globs }])];
  for (const { key, alternatives } of conditions) {
    const globs = alternatives.map(([test, ...others]) => (others.length === 0 ? (test?.glob ?? null) : null));
    if (isOneStep(key) && !globs.includes(null)) asks.push({ key, globs: globs as Glob[] });
  }
  return asks.filter(({ globs }) => globs.length > 0 && globs.every(({ head }) => head !== ""));
}

function namesOf({ key, globs }: Ask): string[] {
  return globs.map(({ head }) => `${key}\n${head}`);
}
