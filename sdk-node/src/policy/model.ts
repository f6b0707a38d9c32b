/** What a policy is: ordered rules, the first that matches decides, and none is a deny. */

import type { Scalar } from "../json.js";
import type { Verdict } from "../records.js";

export type RuleMode = "log-only"; // no rule enforces where its project does not
export const OPERATORS = ["eq", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "not_exists"] as const;
export type Operator = (typeof OPERATORS)[number];
/** A glob, any of several, or operators with their values. */
export type Wanted = Scalar | readonly Scalar[] | ReadonlyMap<Operator, Scalar | readonly Scalar[]>;

// Limits on a policy. They bound what compiling costs and what one decision can cost at most.
export const POLICY_BYTES_MAX = 8 * 1024 * 1024; // 20,000 rules of 400 bytes
export const POLICY_DEPTH_MAX = 16; // a policy nests six deep; more is an attempt on the parser
export const RULES_MAX = 20_000; // of one policy
export const PATTERNS_MAX = 1_000; // of one rule's action, resource or condition
export const PATTERN_CHARS_MAX = 1_024;
export const CONDITIONS_MAX = 32; // of one rule
export const KEY_CHARS_MAX = 256; // of a condition's key
export const KEY_SEGMENTS_MAX = 8; // of a path such as args.order.items.sku
export const NAME_CHARS_MAX = 200; // of a policy or rule
export const REASON_CHARS_MAX = 2_000;
export const DESCRIPTION_CHARS_MAX = 10_000;

/** One rule: what it says (`effect`) of which actions on which resources under which conditions. */
export interface Rule {
  readonly effect: Verdict;
  readonly action: readonly string[];
  readonly resource: readonly string[];
  readonly conditions: ReadonlyMap<string, Wanted>;
  readonly id: string | null;
  readonly reason: string | null;
  readonly mode: RuleMode | null; // `log-only`: what it denies goes ahead and is recorded so, also while the project enforces
}

/** Ordered rules under a name. */
export interface Policy {
  readonly name: string;
  readonly rules: readonly Rule[];
  readonly description: string | null;
}
