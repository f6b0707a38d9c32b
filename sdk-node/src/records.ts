/** What travels and lands: decision, outcome and loss, one JSON object a line, as `/openapi.json` of the gateway defines them. */

export type Verdict = "allow" | "deny" | "warn" | "audit";
export type Mode = "enforce" | "log-only" | "off";
export type Effect = "allow" | "deny" | "warn" | "audit";
export type ReasonCode =
  | "matched_rule" // the rule named by `policy_id` and `rule_id` decided
  | "default_deny" // no rule matched
  | "malformed_request" // control or invisible characters, or a `..` segment, in action or resource
  | "order" // a kill switch or budget stop
  | "stale_bundle" // past its age, and the project says deny
  | "evaluator_error" // the evaluator failed: enforce denies
  | "unrecordable" // the project says: no record, no action
  | "governance_off"; // mode `off`: nothing was evaluated
/** How things stand with the bundle that judges; without one the server says that it is in force. */
export type BundleState =
  | "unconfirmed" // the server gave no answer: judged by the bundle kept on disk, or by one not confirmed for a minute
  | "expired" // past its age
  | "rollback_refused" // the server offers an older bundle, which is not taken
  | "tampering_refused" // the server offers a bundle whose bytes were changed, which is not taken
  | "signature_refused"; // the server offers a bundle that no trusted key signed, or another project's, which is not taken
export type OutcomeStatus = "ok" | "error" | "denied" | "cancelled";
export type LossReason = "spool_full" | "disk_full" | "torn" | "unencodable";

export const VERDICTS: readonly Verdict[] = ["allow", "deny", "warn", "audit"];
export const MODES: readonly Mode[] = ["enforce", "log-only", "off"];

export const SCHEMA_VERSION = 1; // of these records, as controlzero/records.py numbers them

// Limits on one record; the gateway quarantines what is past them, so the SDK cuts its own text before it sends.
export const NAME_CHARS_MAX = 512; // identities, rule ids
export const ASKED_CHARS_MAX = 4_096; // action and resource as asked
export const RESOURCE_KEPT_CHARS_MAX = 200; // what workers keep of a resource
export const TEXT_CHARS_MAX = 16_384; // reasons and the message beside an action
export const TAGS_MAX = 64;

/** The receipt of something masked: which kind of value, how often, at which path of the record. */
export interface Redaction {
  readonly path: string;
  readonly type: string;
  readonly count?: number;
  readonly fingerprint?: string;
}

/** What became of a decision, recorded after the action. */
export interface OutcomeRecord {
  readonly kind: "outcome";
  readonly decision_id: string;
  readonly occurred_at: number;
  readonly carried_out: boolean;
  readonly status: OutcomeStatus;
  readonly error_class?: string;
  readonly latency_ms?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly cost_usd?: number;
  readonly denial_unread?: boolean;
}

/** Records the agent's process could not keep: how many, since when, and why. */
export interface LossRecord {
  readonly kind: "loss";
  readonly occurred_at: number;
  readonly since_at: number;
  readonly count: number;
  readonly reason: LossReason;
}

/** Return how many characters (code points) a text has, which limits count. */
export function charCount(text: string): number {
  let count = text.length;
  for (let at = 0; at + 1 < text.length; at++) {
    if (isPair(text, at)) {
      count--;
      at++;
    }
  }
  return count;
}

/** Return a text cut to so many characters, the last of them `…` where something was cut. */
export function cut(text: string, charsMax: number): string {
  if (text.length <= charsMax || charCount(text) <= charsMax) return text;
  let at = 0;
  for (let kept = 0; kept < charsMax - 1; kept++) at += isPair(text, at) ? 2 : 1;
  return `${text.slice(0, at)}…`;
}

function isPair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
}
