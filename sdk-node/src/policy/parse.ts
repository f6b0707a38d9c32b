/** A policy from JSON text or decoded values: every problem at once, each with its path and, where one is near, what was meant. */

import { PolicyError, type Problem } from "../errors.js";
import { type Json, type JsonObject, type Scalar, isObject, isScalar } from "../json.js";
import { VERDICTS, type Verdict, charCount } from "../records.js";
import { canonical } from "./canonical.js";
import {
  CONDITIONS_MAX,
  DESCRIPTION_CHARS_MAX,
  KEY_CHARS_MAX,
  KEY_SEGMENTS_MAX,
  NAME_CHARS_MAX,
  OPERATORS,
  type Operator,
  PATTERNS_MAX,
  PATTERN_CHARS_MAX,
  POLICY_BYTES_MAX,
  type Policy,
  REASON_CHARS_MAX,
  RULES_MAX,
  type Rule,
  type RuleMode,
  type Wanted,
} from "./model.js";
import { listed, meantOrKnown, nearest } from "./near.js";
import { parseStrictly } from "./strict-json.js";

const POLICY_FIELDS = ["name", "description", "rules"];
const RULE_FIELDS = ["id", "effect", "action", "resource", "conditions", "reason", "mode"];
const ORDERING: readonly string[] = ["gt", "gte", "lt", "lte"];
const NAMESPACES: ReadonlyMap<string, string> = new Map([
  ["arg", "args"],
  ["argument", "args"],
  ["arguments", "args"],
  ["tag", "tags"],
  ["context", ""],
]);
const PROBLEMS_MAX = 100; // a person mends a screenful at a time
const HIDDEN = /\p{C}|(?! )\p{Z}/u; // control, format, unassigned; spaces other than the plain one

/** Return the policy that a JSON text says; `name` is its name where it gives none. Throws `PolicyError`. */
export function parseText(source: string, name: string): Policy {
  const size = Buffer.byteLength(source);
  if (size > POLICY_BYTES_MAX) {
    throw new PolicyError(name, [{ path: "", message: `${grouped(size)} bytes of policy, of which ${grouped(POLICY_BYTES_MAX)} are allowed; split it into several policies` }]);
  }
  try {
    return parse(parseStrictly(source), name);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new PolicyError(name, [{ path: "", message: `not JSON: ${error.message}` }]);
  }
}

/** Return the policy that decoded JSON says; a bare list is its rules. Throws `PolicyError` with every problem at once. */
export function parse(value: Json, name = "policy"): Policy {
  const said = Array.isArray(value) ? { rules: value } : value;
  const ownName = isObject(said) ? said.name : null;
  const checked = new Checked(typeof ownName === "string" && ownName.trim() !== "" ? ownName : name);
  const policy = checked.all(said);
  if (policy === null) throw new PolicyError(checked.name, checked.problems);
  return policy;
}

/** Return several policies in this order. Throws `PolicyError` where two have one name: their rules could not be told apart. */
export function parseAll(values: readonly Json[]): Policy[] {
  const policies = values.map((value) => parse(value));
  const first = new Map<string, number>();
  const problems = policies.flatMap(({ name }, place): Problem[] => {
    const before = first.get(name);
    if (before !== undefined) {
      return [{ path: `policies[${place}].name`, message: `\`${name}\` is the name of \`policies[${before}]\` too; give each its own` }];
    }
    first.set(name, place);
    return [];
  });
  if (problems.length > 0) throw new PolicyError("bundle", problems);
  return policies;
}

/** So much is wrong that looking further helps nobody. */
class Enough extends Error {}

/** Collects the problems of one policy while its parts are read. */
class Checked {
  readonly problems: Problem[] = [];

  constructor(readonly name: string) {}

  all(value: Json): Policy | null {
    try {
      const policy = this.#policy(value);
      return this.problems.length > 0 ? null : policy;
    } catch (error) {
      if (!(error instanceof Enough)) throw error;
      this.problems.push({ path: "", message: `and more; only the first ${PROBLEMS_MAX} problems are told` });
      return null;
    }
  }

  #problem(path: string, message: string): void {
    if (this.problems.length >= PROBLEMS_MAX) throw new Enough();
    this.problems.push({ path, message });
  }

  #policy(value: Json): Policy {
    if (!isObject(value)) {
      this.#problem("", `expected an object with \`rules\`, got ${kind(value)}`);
      return { name: this.name, rules: [], description: null };
    }
    this.#fields(value, POLICY_FIELDS, "");
    if (isThere(value.name)) this.#text(value.name, "name", NAME_CHARS_MAX);
    if (isThere(value.description)) this.#text(value.description, "description", DESCRIPTION_CHARS_MAX, { isLine: false });
    const rules = this.#listOfRules(value).map((rule, place) => this.#rule(rule, `rules[${place}]`));
    this.#uniqueIds(rules);
    return { name: this.name, rules: rules.filter((rule) => rule !== null), description: (value.description as string | undefined) ?? null };
  }

  #listOfRules(value: JsonObject): Json[] {
    const { rules } = value;
    if (!Array.isArray(rules)) {
      this.#problem("rules", `expected a list of rules, got ${"rules" in value ? kind(rules) : "nothing"}`);
      return [];
    }
    if (rules.length <= RULES_MAX) return rules;
    this.#problem("rules", `${grouped(rules.length)} rules, of which a policy may have ${grouped(RULES_MAX)}; split it`);
    return [];
  }

  #uniqueIds(rules: readonly (Rule | null)[]): void {
    const first = new Map<string, number>();
    rules.forEach((rule, place) => {
      if (rule === null || rule.id === null) return;
      const before = first.get(rule.id);
      if (before === undefined) first.set(rule.id, place);
      else this.#problem(`rules[${place}].id`, `id \`${rule.id}\` is that of \`rules[${before}]\` too; give each rule its own`);
    });
  }

  #rule(value: Json, path: string): Rule | null {
    const known = this.problems.length;
    if (!isObject(value)) {
      this.#problem(path, `expected a rule (an object with \`effect\` and \`action\`), got ${kind(value)}`);
      return null;
    }
    this.#fields(value, RULE_FIELDS, path);
    const effect = value.effect ?? null;
    if (!VERDICTS.includes(effect as Verdict)) {
      const meant = nearest(effect, VERDICTS);
      this.#problem(`${path}.effect`, `expected one of ${listed(VERDICTS)}, got ${shown(effect)}${meant ? `; did you mean \`${meant}\`?` : ""}`);
    }
    const action = this.#patterns(value.action ?? null, `${path}.action`);
    const resource = isThere(value.resource) ? this.#patterns(value.resource, `${path}.resource`) : ["*"];
    const conditions = this.#conditions(value.conditions ?? null, `${path}.conditions`);
    if (isThere(value.id)) this.#text(value.id, `${path}.id`, NAME_CHARS_MAX);
    if (isThere(value.reason)) this.#text(value.reason, `${path}.reason`, REASON_CHARS_MAX, { isLine: false });
    const mode = value.mode ?? null;
    if (mode !== null && mode !== "log-only") {
      this.#problem(`${path}.mode`, `expected \`log-only\` or nothing, got ${shown(mode)}; a rule follows its project's mode else`);
    }
    if (this.problems.length > known) return null;
    const { id = null, reason = null } = value as { id?: string | null; reason?: string | null };
    return { effect: effect as Verdict, action, resource, conditions, id, reason, mode: mode as RuleMode | null };
  }

  #fields(value: JsonObject, known: readonly string[], path: string): void {
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) this.#problem(path, `unknown field \`${key}\`; ${meantOrKnown(key, known)}`);
    }
  }

  #text(value: Json, path: string, charsMax: number, { isLine = true } = {}): void {
    if (typeof value !== "string" || value.trim() === "") this.#problem(path, `expected text, got ${shown(value)}`);
    else if (charCount(value) > charsMax) this.#problem(path, `${grouped(charCount(value))} characters, of which ${grouped(charsMax)} are allowed`);
    else if (isLine && HIDDEN.test(value)) this.#problem(path, "holds control or invisible characters; write plain text in one line");
    else if (!value.isWellFormed()) this.#problem(path, "holds half of a surrogate pair; it is not Unicode text");
  }

  #patterns(value: Json, path: string): string[] {
    if (!Array.isArray(value)) return [this.#pattern(value, path, { isNamed: true })];
    this.#counted(value, path);
    return value.slice(0, PATTERNS_MAX).map((each, place) => this.#pattern(each, `${path}[${place}]`, { isNamed: true }));
  }

  #pattern(value: Json, path: string, { isNamed }: { isNamed: boolean }): string {
    if (typeof value !== "string") {
      this.#problem(path, value === null ? "missing; expected a pattern such as `llm:*`" : `expected text, got ${shown(value)}; quote it`);
      return "";
    }
    if (value === "") this.#problem(path, "an empty pattern matches nothing; write `*` for everything");
    else if (charCount(value) > PATTERN_CHARS_MAX) {
      this.#problem(path, `a pattern of ${grouped(charCount(value))} characters, of which ${grouped(PATTERN_CHARS_MAX)} are allowed`);
    } else if (value.includes("\0") || !value.isWellFormed()) this.#problem(path, "holds a NUL or half of a surrogate pair; no text that is judged does");
    else if (isNamed && HIDDEN.test(value)) {
      this.#problem(path, "holds control or invisible characters; a request that has them is denied before any rule");
    }
    return value;
  }

  #counted(value: readonly Json[], path: string): void {
    if (value.length === 0) this.#problem(path, "an empty list matches nothing; name what it stands for, or leave it out");
    else if (value.length > PATTERNS_MAX) {
      this.#problem(path, `${grouped(value.length)} values, of which ${grouped(PATTERNS_MAX)} are allowed; use globs or several rules`);
    }
  }

  #conditions(value: Json, path: string): Map<string, Wanted> {
    if (value === null) return new Map();
    if (!isObject(value)) {
      this.#problem(path, `expected an object of keys and values, got ${kind(value)}`);
      return new Map();
    }
    const entries = Object.entries(value);
    if (entries.length > CONDITIONS_MAX) this.#problem(path, `${entries.length} conditions, of which a rule may have ${CONDITIONS_MAX}`);
    if ("agent_id" in value && "agent_name" in value) this.#problem(path, "`agent_id` and `agent_name` are the same; keep one");
    const read = new Map<string, Wanted>();
    for (const [key, wanted] of entries) {
      if (this.#key(key, path)) read.set(key, this.#wanted(wanted, `${path}.${key}`));
    }
    return read;
  }

  #key(key: string, path: string): boolean {
    if (key === "" || key !== key.trim() || HIDDEN.test(key) || charCount(key) > KEY_CHARS_MAX) {
      this.#problem(path, `expected a key of 1 to ${KEY_CHARS_MAX} plain characters, got ${shown(key)}`);
      return false;
    }
    const segments = key.split(".");
    const space = NAMESPACES.get(segments[0]);
    if (key === "resource") this.#problem(path, "`resource` is the rule's own field; put it beside `action`");
    else if (space !== undefined && segments.length > 1) {
      const meant = [space, ...segments.slice(1)].filter((segment) => segment !== "").join(".");
      this.#problem(path, `unknown key \`${key}\`; did you mean \`${meant}\`?`);
    } else if (key.startsWith("@") || key === "args" || key === "tags" || segments.includes("") || segments.length > KEY_SEGMENTS_MAX) {
      this.#problem(path, `\`${key}\` is no key; expected one such as \`agent_id\`, \`tier\`, \`tags.team\`, \`args.path\`, at most ${KEY_SEGMENTS_MAX} parts`);
    } else return true;
    return false;
  }

  #wanted(value: Json, path: string): Wanted {
    if (isObject(value)) {
      const entries = Object.entries(value);
      if (entries.length === 0) this.#problem(path, `an empty object asks nothing; write a glob or one of ${listed(OPERATORS)}`);
      return new Map(entries.filter(([key]) => this.#operator(key, path)).map(([key, operand]) => [key as Operator, this.#operand(key, operand, path)]));
    }
    return Array.isArray(value) ? this.#scalars(value, path) : this.#scalar(value, path);
  }

  #operator(key: string, path: string): boolean {
    const isKnown = OPERATORS.includes(key as Operator);
    if (!isKnown) this.#problem(path, `unknown operator \`${key}\`; ${meantOrKnown(key, OPERATORS)}`);
    return isKnown;
  }

  #operand(operator: string, value: Json, around: string): Scalar | Scalar[] {
    const path = `${around}.${operator}`;
    if (operator === "in" || operator === "not_in") {
      if (Array.isArray(value)) return this.#scalars(value, path);
      this.#problem(path, `expected a list of values, got ${shown(value)}`);
      return [];
    }
    if (operator === "exists" || operator === "not_exists") {
      if (typeof value !== "boolean") this.#problem(path, `expected true or false, got ${shown(value)}`);
      return value === true;
    }
    if (ORDERING.includes(operator) && typeof value === "boolean") {
      this.#problem(path, `expected a number or text to compare with, got ${shown(value)}`);
    }
    return this.#scalar(value, path);
  }

  #scalars(value: readonly Json[], path: string): Scalar[] {
    this.#counted(value, path);
    return value.slice(0, PATTERNS_MAX).map((each, place) => this.#scalar(each, `${path}[${place}]`));
  }

  #scalar(value: Json, path: string): Scalar {
    if (typeof value === "string") return this.#pattern(value, path, { isNamed: false });
    if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
    const hint = value === null ? "; to ask for an absent key, write {not_exists: true}" : "";
    this.#problem(path, `expected text, a number, true or false, got ${shown(value)}${hint}`);
    return "";
  }
}

function isThere(value: Json | undefined): value is Json {
  return value !== undefined && value !== null;
}

function shown(value: Json): string {
  if (!isScalar(value)) return kind(value);
  const written = canonical(value);
  return `\`${written.length <= 60 ? written : `${written.slice(0, 57)}…`}\``;
}

function kind(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : isObject(value) ? "an object" : shown(value);
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
