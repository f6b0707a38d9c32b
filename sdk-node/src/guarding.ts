/** What guarding one call comes to, free of I/O: judge it under the mode, and say it as a record without personal data. */

import type { JsonObject } from "./json.js";
import type { Masking } from "./masking.js";
import { type Order, concerning } from "./orders.js";
import { text } from "./policy/canonical.js";
import type { CompiledPolicy } from "./policy/evaluate.js";
import { recordFacts } from "./policy/facts.js";
import type { RuleMode } from "./policy/model.js";
import { type Request, canonicalAction } from "./policy/request.js";
import {
  ASKED_CHARS_MAX,
  type BundleState,
  type Effect,
  type Mode,
  NAME_CHARS_MAX,
  type ReasonCode,
  type Redaction,
  TEXT_CHARS_MAX,
  type Verdict,
} from "./records.js";
import { SDK } from "./version.js";

const OFF_REASON = "governance is off; nothing was evaluated";
const STALE_REASON = "the bundle is past its age, and the project says to deny then";
const ERROR_REASON = "the policy could not be evaluated";
const UNRECORDABLE_REASON = "the decision could not be recorded, and the project says no action without a record";

/** What a client judges by at this moment. */
export interface Governed {
  readonly compiled: CompiledPolicy;
  readonly masking: Masking;
  readonly projectId: string;
  readonly mode: Mode;
  readonly bundleDigest: string;
  readonly expiresAt: number | null;
  readonly onStale: "keep" | "deny";
  readonly onUnrecordable: "go_on" | "deny";
  readonly bundleState: BundleState | null; // null: its server says that it is in force
  readonly orders: readonly Order[]; // in force, those that concern the project
}

/** What the caller said of one call, beside what is judged of it. */
export interface Call {
  readonly actionRaw: string;
  readonly tool: string | null;
  readonly method: string | null;
  readonly text: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly environment: string | null;
}

/** What follows from a judgement under a mode. `verdict` is the policy's own word, null where it had none. */
export interface Ruling {
  readonly mode: Mode;
  readonly verdict: Verdict | null;
  readonly effect: Effect;
  readonly allowed: boolean;
  readonly reason: string;
  readonly reasonCode: ReasonCode;
  readonly policyId: string | null;
  readonly ruleId: string | null;
  readonly evaluatedRules: number;
  readonly resource: string | null;
  readonly resourceClaimed: boolean;
}

const NO_RULE = { policyId: null, ruleId: null, evaluatedRules: 0, resourceClaimed: true };

/** Return the mode a call is under: its project's, but log-only where the project enforces and the deciding rule only logs. */
function modeOf(mode: Mode, ruleMode: RuleMode | null): Mode {
  return ruleMode === "log-only" && mode === "enforce" ? "log-only" : mode;
}

/** Return the effect, and whether the action goes ahead. Under `log-only` and `off` every action does. */
function effectOf(verdict: Verdict | null, mode: Mode): { effect: Effect; allowed: boolean } {
  return mode === "enforce" && verdict !== null ? { effect: verdict, allowed: verdict !== "deny" } : { effect: "allow", allowed: true };
}

/** Judge a request under the mode in force at `at` (microseconds). Throws whatever the evaluator throws. */
export function ruleOn(governed: Governed, request: Request, at: number): Ruling {
  if (governed.mode === "off") {
    return { ...NO_RULE, ...effectOf(null, "off"), mode: "off", verdict: null, reason: OFF_REASON, reasonCode: "governance_off", resource: request.resource };
  }
  const judged = governed.compiled.judge(request);
  const { verdict, policyId, ruleId, evaluatedRules, resource, resourceClaimed } = judged;
  const said = { verdict, policyId, ruleId, evaluatedRules, resource, resourceClaimed };
  if (governed.onStale === "deny" && isExpired(governed, at)) {
    const { mode } = governed;
    return { ...said, ...effectOf("deny", mode), mode, reason: STALE_REASON, reasonCode: "stale_bundle" };
  }
  const mode = modeOf(governed.mode, judged.mode);
  return { ...said, ...effectOf(verdict, mode), mode, reason: judged.reason, reasonCode: judged.reasonCode };
}

/** Tell whether what judges is past its age at `at` (microseconds). */
function isExpired({ expiresAt }: Governed, at: number): boolean {
  return expiresAt !== null && at >= expiresAt;
}

/** Say the gravest of what is to be said of the bundle that judges. */
function bundleStateOf(governed: Governed, at: number): BundleState | null {
  const { bundleState } = governed;
  return (bundleState === null || bundleState === "unconfirmed") && isExpired(governed, at) ? "expired" : bundleState;
}

/** Return what follows where the evaluator failed: enforce denies, log-only goes ahead. */
export function ruleWithoutVerdict({ mode }: Governed): Ruling {
  return { ...NO_RULE, ...effectOf("deny", mode), mode, verdict: null, reason: ERROR_REASON, reasonCode: "evaluator_error", resource: null };
}

/** Return what follows where orders are in force: one that concerns the agent denies in every mode but `off`; the verdict stays. */
export function ruleUnderOrders(ruling: Ruling, { orders, mode, masking }: Governed, agentId: string): Ruling {
  if (mode === "off" || orders.length === 0) return ruling;
  const order = concerning(orders, [agentId, masking.text(agentId, "agent_id", NAME_CHARS_MAX, [])]);
  return order === null ? ruling : { ...ruling, effect: "deny", allowed: false, reason: order.reason, reasonCode: "order" };
}

/** Return what follows where the decision could not be recorded, which the project may not stand. */
export function ruleWithoutRecord(ruling: Ruling, { onUnrecordable, mode }: Governed): Ruling {
  const { effect, allowed } = effectOf("deny", mode);
  if (onUnrecordable === "go_on" || !ruling.allowed || allowed) return ruling;
  return { ...ruling, mode, effect, allowed, reason: UNRECORDABLE_REASON, reasonCode: "unrecordable" };
}

/** How one call was decided. */
export interface Decided {
  readonly decisionId: string;
  readonly at: number;
  readonly evaluationTimeNs: number;
}

/** Return the record of a decision as JSON text, every word of the caller masked. */
export function decisionLine(governed: Governed, call: Call, request: Request | null, ruling: Ruling, decided: Decided): string {
  const receipts: Redaction[] = [];
  const said = (value: string | null, path: string, charsMax: number) =>
    value === null ? undefined : governed.masking.text(value, path, charsMax, receipts);
  const name = (value: string | null, path: string) => said(value, path, NAME_CHARS_MAX);
  const identity = (value: JsonObject[string], path: string) => name(value === null ? null : text(value), path);
  const actionRaw = said(call.actionRaw, "action", ASKED_CHARS_MAX) as string; // the canonical form would hide an address: no dots
  const canonical = request !== null && actionRaw === request.actionRaw ? request.actions[0] : canonicalAction(actionRaw);
  const action = said(canonical, "action", ASKED_CHARS_MAX) as string;
  const args = request !== null && hasMembers(request.args) ? governed.masking.args(request.args, receipts) : null;
  const record = {
    kind: "decision",
    decision_id: decided.decisionId,
    occurred_at: decided.at,
    action,
    mode: ruling.mode,
    effect: ruling.effect,
    reason_code: ruling.reasonCode,
    verdict: ruling.verdict ?? undefined,
    environment: name(call.environment, "environment"),
    agent_id: identity(request?.agentId ?? null, "agent_id"),
    user_id: identity(request?.userId ?? null, "user_id"),
    user_group: identity(request?.userGroup ?? null, "user_group"),
    session_id: identity(request?.sessionId ?? null, "session_id"),
    trace_id: name(call.traceId, "trace_id"),
    span_id: name(call.spanId, "span_id"),
    tags: request !== null && hasMembers(request.tags) ? governed.masking.tags(request.tags, receipts) : undefined,
    action_raw: actionRaw === action ? undefined : actionRaw,
    resource: said(ruling.resource, "resource", ASKED_CHARS_MAX),
    resource_claimed: ruling.resourceClaimed ? undefined : false,
    tool: said(call.tool, "tool", ASKED_CHARS_MAX),
    method: said(call.method, "method", ASKED_CHARS_MAX),
    args: args?.args,
    args_digest: args?.digest,
    text: said(call.text, "text", TEXT_CHARS_MAX),
    policy_id: ruling.policyId ?? undefined,
    rule_id: ruling.ruleId ?? undefined,
    reason: said(ruling.reason, "reason", TEXT_CHARS_MAX),
    bundle_digest: governed.bundleDigest,
    bundle_state: bundleStateOf(governed, decided.at) ?? undefined,
    evaluated_rules: ruling.evaluatedRules,
    evaluation_time_ns: decided.evaluationTimeNs,
    sdk: SDK,
  };
  const facts = request === null ? null : recordFacts(governed.compiled, request, receipts, (value) => governed.masking.masked(value));
  return JSON.stringify({ ...record, facts: facts ?? undefined, redactions: receipts.length > 0 ? receipts : undefined });
}

function hasMembers(object: JsonObject): boolean {
  return Object.keys(object).length > 0;
}
