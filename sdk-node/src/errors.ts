/**
 * Errors named for what the caller does next.
 *
 *     ControlZeroError
 *     ├── Rejected                 bad input: quarantine it, go on
 *     │   └── PolicyError          a policy that cannot be taken; `.problems` names each with its path
 *     ├── Unavailable              a dependency is down: back off, try again
 *     ├── Tampered                 stop, tell a person
 *     │   ├── BundleTamperError         the bytes are not those that were written
 *     │   └── BundleVerificationError   no trusted key signed them
 *     │       └── BundleRollbackError   older than the one in force
 *     └── PolicyDeniedError        the action must not happen; `.decision` says why (decisions.ts)
 *         (PolicyViolationError is the same)
 */

/** The root of all errors of Control Zero. */
export class ControlZeroError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bad input: quarantine it and go on. */
export class Rejected extends ControlZeroError {}

/** One thing wrong with an input: where (`rules[2].conditions`, empty for the whole) and what. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** A policy that cannot be taken: every problem of it at once, each with its path. */
export class PolicyError extends Rejected {
  constructor(
    readonly policy: string,
    readonly problems: readonly Problem[],
  ) {
    const lines = problems.map(told);
    super(`policy \`${policy}\`: ${lines.length === 1 ? lines[0] : `${lines.length} problems:\n  ${lines.join("\n  ")}`}`);
  }
}

/** A dependency is down: back off and try again, after `retryAfterS` where that is known. */
export class Unavailable extends ControlZeroError {
  readonly retryAfterS: number | null;

  constructor(message: string, { retryAfterS = null, cause }: { retryAfterS?: number | null; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryAfterS = retryAfterS;
  }
}

/** Something is not what it was: stop and tell a person. */
export class Tampered extends ControlZeroError {}

/** The bytes are not those that were written: damaged, cut or edited after signing. */
export class BundleTamperError extends Tampered {}

/** No trusted key signed this: an unknown key, or a signature that does not fit. */
export class BundleVerificationError extends Tampered {}

/** The bundle is older than the one in force, or claims its version with other content. */
export class BundleRollbackError extends BundleVerificationError {}

/** Return the code of an error of the system, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Say the fact, where it is, then the way out. */
function told({ path, message }: Problem): string {
  const [fact, ...wayOut] = message.split("; ");
  return [path ? `${fact} at \`${path}\`` : fact, ...wayOut].join("; ");
}
