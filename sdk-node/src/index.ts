/** Control Zero: judge each call of an AI agent by policy, and record what was decided. */

export { type Caller, withContext } from "./ambient.js";
export { ControlZero, type Options } from "./client.js";
export { type Outcome, PolicyDecision, PolicyDeniedError, PolicyViolationError } from "./decisions.js";
export {
  BundleRollbackError,
  BundleTamperError,
  BundleVerificationError,
  ControlZeroError,
  PolicyError,
  type Problem,
  Rejected,
  Tampered,
  Unavailable,
} from "./errors.js";
export type { ActionCall, ToolCall } from "./governance.js";
export type { Effect, Mode, OutcomeStatus, ReasonCode, Verdict } from "./records.js";
export { VERSION } from "./version.js";
