/** The evaluator: policies compiled, and the judgement of one request; first match wins, none is a deny. */

import type { ReasonCode, Verdict } from "../records.js";
import { compareText } from "./canonical.js";
import { type Test, compileCondition, globTest, holds } from "./conditions.js";
import { type Matcher, anyMatcher, glob } from "./globs.js";
import { type Indexed, RuleIndex } from "./rule-index.js";
import type { Policy, Rule, RuleMode } from "./model.js";
import { type Request, canonicalAction, isMalformed } from "./request.js";
import { type Offer, compileResources, meets, namedResource, offersOf } from "./resources.js";

const DEFAULT_REASON = "no rule matched; the default is deny";
const MALFORMED_REASON = "the action or the resource holds control, zero-width or bidi characters or a `..` segment; send plain names";

/**
 * What the policy says of one request, and why.
 *
 * `rule` is the deciding rule's place in the bundle, from 0; `evaluatedRules` its place from 1, or the number of all
 * where none decided. `resource` is whole: whoever records it redacts it.
 * `mode` is the deciding rule's own, where it only logs.
 */
export interface Judgement {
  readonly verdict: Verdict;
  readonly policyId: string | null;
  readonly ruleId: string | null;
  readonly reason: string;
  readonly reasonCode: ReasonCode;
  readonly rule: number | null;
  readonly evaluatedRules: number;
  readonly resource: string | null;
  readonly resourceClaimed: boolean;
  readonly mode: RuleMode | null;
}

interface CompiledRule extends Indexed {
  readonly place: number;
  readonly policyId: string;
  readonly ruleId: string;
  readonly effect: Verdict;
  readonly reason: string;
  readonly mode: RuleMode | null;
  readonly isDeny: boolean;
  readonly isAbout: Matcher;
}

/** A bundle's policies as one ordered list of rules, ready to judge. */
export class CompiledPolicy {
  readonly rules: readonly CompiledRule[];
  /** The facts its rules read: keys of conditions, `resource`, arguments offered as resources (`args.*`: any of them). */
  readonly reads: readonly string[];
  readonly #index: RuleIndex<CompiledRule>;
  readonly #patterns = new Map<string, readonly Test[]>();

  constructor(policies: readonly Policy[], { reads = [] }: { reads?: readonly string[] } = {}) {
    this.rules = compiled(policies);
    this.#index = new RuleIndex(this.rules);
    this.reads = [...new Set([...reads, ...this.rules.flatMap(readsOf)])].sort(compareText);
  }

  /** Judge one request. Throws `Rejected` for arguments that nest too deep to be judged. */
  judge(request: Request): Judgement {
    const { resource } = request;
    if (isMalformed(request.actionRaw) || (resource !== null && isMalformed(resource))) return malformed(request);
    let offers: readonly Offer[] | null = null;
    for (const rule of this.#index.candidates(request)) {
      if (!request.actions.some(rule.isAbout)) continue;
      if (!rule.resources.everything && !meets(rule.resources, (offers ??= offersOf(request)), rule)) continue;
      if (!rule.conditions.every((condition) => holds(condition, request))) continue;
      return {
        verdict: rule.effect,
        policyId: rule.policyId,
        ruleId: rule.ruleId,
        reason: rule.reason,
        reasonCode: "matched_rule",
        rule: rule.place,
        evaluatedRules: rule.place + 1,
        resource: resource ?? namedResource(rule.resources, request, offers ?? []),
        resourceClaimed: resource !== null,
        mode: rule.mode,
      };
    }
    return {
      verdict: "deny",
      policyId: null,
      ruleId: null,
      reason: DEFAULT_REASON,
      reasonCode: "default_deny",
      rule: null,
      evaluatedRules: this.rules.length,
      resource: resource ?? namedResource(null, request, []),
      resourceClaimed: resource !== null,
      mode: null,
    };
  }

  /**
   * Return every test that the rules ask of a key (`resource`: of offered resources), in their order, each once.
   *
   * Facts number them by this order, so it must never change for a given bundle.
   */
  patterns(key: string): readonly Test[] {
    const known = this.#patterns.get(key) ?? this.#testsOf(key);
    this.#patterns.set(key, known);
    return known;
  }

  #testsOf(key: string): readonly Test[] {
    const tests = new Map<string, Test>();
    const add = (test: Test) => tests.has(test.name) || tests.set(test.name, test);
    for (const rule of this.rules) {
      if (key === "resource" && !rule.resources.everything) rule.resources.globs.forEach((each) => add(globTest(each.pattern)));
      for (const condition of rule.conditions) {
        if (condition.key === key) condition.alternatives.flat().forEach(add);
      }
    }
    return [...tests.values()];
  }
}

function compiled(policies: readonly Policy[]): CompiledRule[] {
  return policies
    .flatMap((policy) => policy.rules.map((rule, place) => ({ policy, rule, ruleId: rule.id ?? `${policy.name}#${place + 1}` })))
    .map(({ policy, rule, ruleId }, place) => compiledRule(rule, { place, policyId: policy.name, ruleId }));
}

function compiledRule(rule: Rule, named: { place: number; policyId: string; ruleId: string }): CompiledRule {
  const isDeny = rule.effect === "deny";
  const actions = rule.action.map((pattern) => glob(canonicalAction(pattern)));
  return {
    ...named,
    effect: rule.effect,
    reason: rule.reason ?? `rule \`${named.ruleId}\` of policy \`${named.policyId}\` says ${rule.effect}`,
    mode: rule.mode,
    isDeny,
    actions,
    isAbout: anyMatcher(actions),
    resources: compileResources(rule.resource.map(glob)),
    conditions: [...rule.conditions].map(([key, wanted]) => compileCondition(key, wanted, { isDeny })),
  };
}

function readsOf(rule: CompiledRule): string[] {
  const reads = rule.conditions.map((condition) => condition.key);
  if (rule.resources.everything) return reads;
  reads.push("resource");
  for (const each of rule.resources.globs) {
    const slash = each.head.indexOf("/");
    if (slash >= 0) reads.push(`args.${each.head.slice(0, slash)}`);
    else if (!each.isLiteral) reads.push("args.*");
  }
  return reads;
}

function malformed({ resource }: Request): Judgement {
  return {
    verdict: "deny",
    policyId: null,
    ruleId: null,
    reason: MALFORMED_REASON,
    reasonCode: "malformed_request",
    rule: null,
    evaluatedRules: 0,
    resource,
    resourceClaimed: resource !== null,
    mode: null,
  };
}
