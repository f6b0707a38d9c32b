/** What a caller gets back: the decision, which knows whether anybody looked at it, and the error that brings a denied one. */

import { inspect } from "node:util";
import { ControlZeroError } from "./errors.js";
import type { Ruling } from "./guarding.js";
import type { Effect, Mode, OutcomeStatus, ReasonCode, Verdict } from "./records.js";

/** What became of an action. Only the class of an `error` is kept, never its text. */
export interface Outcome {
  readonly status?: OutcomeStatus;
  readonly carriedOut?: boolean;
  readonly error?: unknown;
  readonly latencyMs?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costUsd?: number;
}

/** How a decision was made and recorded. */
export interface Made {
  readonly decisionId: string;
  readonly action: string;
  readonly resource: string | null;
  readonly ruling: Ruling;
  readonly evaluationTimeNs: number;
  readonly isRecorded: boolean;
  /** Called once somebody has looked at what was decided. */
  readonly onRead: () => void;
  readonly recordOutcome: (decisionId: string, outcome: Outcome) => void;
}

/**
 * One judged and recorded action. `allowed` is what code should test.
 *
 * `effect` is what the caller must do, `verdict` what the policy said (null where nothing was evaluated), `mode` why
 * they may differ.
 */
export class PolicyDecision {
  readonly decisionId: string;
  readonly action: string;
  readonly mode: Mode;
  readonly reasonCode: ReasonCode;
  readonly policyId: string | null;
  readonly ruleId: string | null;
  readonly evaluatedRules: number;
  readonly evaluationTimeNs: number;
  readonly isRecorded: boolean;
  readonly #made: Made;
  #hasOutcome = false;

  constructor(made: Made) {
    const { ruling } = made;
    this.decisionId = made.decisionId;
    this.action = made.action;
    this.mode = ruling.mode;
    this.reasonCode = ruling.reasonCode;
    this.policyId = ruling.policyId;
    this.ruleId = ruling.ruleId;
    this.evaluatedRules = ruling.evaluatedRules;
    this.evaluationTimeNs = made.evaluationTimeNs;
    this.isRecorded = made.isRecorded;
    this.#made = made;
  }

  /** What the action is on. It may be an argument's value, so neither what prints a decision nor an error nobody caught shows it. */
  get resource(): string | null {
    return this.#made.resource;
  }

  /** Whether the action goes ahead. */
  get allowed(): boolean {
    return this.#read().allowed;
  }

  /** What the caller must do: the verdict under the mode. */
  get effect(): Effect {
    return this.#read().effect;
  }

  /** What the policy said. */
  get verdict(): Verdict | null {
    return this.#read().verdict;
  }

  /** Why, in a sentence for a person. */
  get reason(): string {
    return this.#read().reason;
  }

  /** Throw `PolicyDeniedError` where the action must not happen; its outcome is then recorded as denied. */
  throwIfDenied(): void {
    if (this.allowed) return;
    this.outcome({ status: "denied", carriedOut: false });
    throw new PolicyDeniedError(`${this.action} is denied: ${this.reason}`, this);
  }

  /** Record what became of the action. */
  outcome(outcome: Outcome = {}): void {
    this.#hasOutcome = true;
    this.#made.recordOutcome(this.decisionId, outcome);
  }

  /** Record the outcome of an action that has ended, unless the caller has said more of it already. */
  finish(outcome: Outcome): void {
    if (!this.#hasOutcome) this.outcome(outcome);
  }

  [inspect.custom](): string {
    const { effect, verdict, reason } = this.#made.ruling;
    return `<PolicyDecision ${effect}: ${this.action} (${this.mode}; verdict ${verdict ?? "none"}: ${reason})>`;
  }

  #read(): Ruling {
    this.#made.onRead();
    return this.#made.ruling;
  }
}

/** The action must not happen. `decision` is the whole decision: effect, reason, policy, rule. */
export class PolicyDeniedError extends ControlZeroError {
  constructor(
    message: string,
    readonly decision: PolicyDecision,
  ) {
    super(message);
  }
}

export const PolicyViolationError = PolicyDeniedError;
export type PolicyViolationError = PolicyDeniedError;
