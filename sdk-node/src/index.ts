/** Control Zero: judge each call of an AI agent by policy, and record what was decided. */

export { type Caller, withContext } from "./ambient.js";
export { ControlZero, type Options } from "./client.js";
export { type Outcome, PolicyDecision } from "./decisions.js";
export {
  BundleRollbackError,
  BundleTamperError,
  BundleVerificationError,
  ControlZeroError,
  PolicyDeniedError,
  PolicyError,
  PolicyViolationError,
  type Problem,
  Rejected,
  Tampered,
  Unavailable,
} from "./errors.js";
export type { ActionCall, ToolCall } from "./governance.js";
export type { Effect, Mode, OutcomeStatus, ReasonCode, Verdict } from "./records.js";
export { VERSION } from "./version.js";
