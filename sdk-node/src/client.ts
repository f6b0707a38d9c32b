/** `ControlZero`: governs the calls of an agent. */

import type { Caller } from "./ambient.js";
import { type Connection, openConnection } from "./connection.js";
import type { PolicyDecision } from "./decisions.js";
import { type ActionCall, Governance, type ToolCall } from "./governance.js";
import { EXIT_S_MAX } from "./recorder/recording.js";
import type { Mode } from "./records.js";
import { type Given, type Settings, readSettings } from "./settings.js";

const FLUSH_S_MAX = 5; // how long `flush` waits unless told otherwise

/** How a client is made. What is not given is read from CONTROLZERO_API_KEY, _BASE_URL, _PROJECT_ID and so on. */
export interface Options extends Given {
  readonly userId?: string;
  readonly userGroup?: string;
  readonly sessionId?: string;
  readonly tags?: object;
  /** Bring the project's secrets, for `getSecret`. */
  readonly secretsEnabled?: boolean;
}

const OTHER_OPTIONS = Object.keys({
  userId: true,
  userGroup: true,
  sessionId: true,
  tags: true,
  secretsEnabled: true,
} satisfies Record<Exclude<keyof Options, keyof Given>, true>);

/**
 * Governs an agent's calls: judges each by policy in this process, records it, and tells what to do.
 *
 * Throws `Rejected` for settings that cannot work.
 */
export class ControlZero {
  readonly #settings: Settings;
  readonly #caller: Caller;
  readonly #hasSecrets: boolean;
  #opening: Promise<Governance> | null = null;
  #governance: Governance | null = null;

  constructor(options: Options = {}) {
    const { userId, userGroup, sessionId, tags, secretsEnabled = false } = options;
    this.#settings = readSettings(options, OTHER_OPTIONS);
    this.#caller = { agentId: this.#settings.agentId ?? undefined, userId, userGroup, sessionId, tags };
    this.#hasSecrets = secretsEnabled;
  }

  /**
   * Obtain what to judge by, and the secrets if they are enabled.
   *
   * Waits at most 2 s for the first bundle and falls back to the one kept on disk. Throws `Unavailable` where there is
   * none, `Rejected` where asking again would not help, `PolicyError` for a policy file with all its problems. After
   * `close()` it does so anew.
   */
  async initialize(): Promise<void> {
    this.#opening ??= this.#open();
    try {
      this.#governance = await this.#opening;
    } catch (error) {
      this.#opening = null; // so that it can be tried again
      throw error;
    }
  }

  /** The project whose policy is in force. */
  get projectId(): string {
    return this.#governing.governed.projectId;
  }

  /** The mode in force now; with a server it may change at any time. */
  get mode(): Mode {
    return this.#governing.governed.mode;
  }

  /** The producer of this process's run, null before its first record. */
  get producerId(): string | null {
    return this.#governing.producerId;
  }

  /** Judge and record the call of a tool's method; test `.allowed` before carrying it out. A verdict never throws here. */
  guard(call: ToolCall): PolicyDecision {
    return this.#governing.guard(call);
  }

  /**
   * Judge and record an action such as `llm.generate` on a resource. Rejects with `PolicyDeniedError` for a denial under
   * enforce or by an order: await it before carrying the action out.
   */
  async enforce(call: ActionCall): Promise<PolicyDecision> {
    const decision = this.#governing.enforce(call);
    decision.throwIfDenied();
    return decision;
  }

  /**
   * Guard a function that carries out the action, and record its outcome: latency, and the class of what it threw.
   *
   * Rejects with `PolicyDeniedError`, without running it, for a denial under enforce or by an order. Call
   * `decision.outcome(...)` in the function to say more, such as tokens.
   */
  async guarded<T>(call: ToolCall, run: (decision: PolicyDecision) => T | Promise<T>): Promise<T> {
    const decision = this.guard(call);
    decision.throwIfDenied();
    const startedAt = performance.now();
    try {
      const result = await run(decision);
      decision.finish({ latencyMs: sinceMs(startedAt) });
      return result;
    } catch (error) {
      const status = (error as Error | null)?.name === "AbortError" ? "cancelled" : "ok";
      decision.finish({ status, error, latencyMs: sinceMs(startedAt) });
      throw error;
    }
  }

  /**
   * Return a secret of the project from memory, without a network.
   *
   * Throws `Rejected` for an unknown name (it says which there are), without `secretsEnabled`, and after `close()`.
   */
  getSecret(name: string): string {
    return this.#governing.secret(name);
  }

  /** Deliver what was recorded until now; false where that was not possible in time (nothing is lost). */
  async flush(timeoutS: number = FLUSH_S_MAX): Promise<boolean> {
    return this.#governance === null || (await this.#governance.flush(timeoutS));
  }

  /**
   * Wipe the secrets, deliver what is recorded and end in order; false where some of it waits on disk for a later process.
   *
   * Who guards a call after that is judged by the bundle as it was, and the record says that no server confirmed it.
   */
  async close(timeoutS: number = EXIT_S_MAX): Promise<boolean> {
    if (this.#governance === null) return true;
    this.#opening = null; // the next initialize() opens anew
    return await this.#governance.close(timeoutS);
  }

  async #open(): Promise<Governance> {
    const connection: Connection = await openConnection(this.#settings);
    try {
      if (this.#hasSecrets) await connection.openSecrets();
    } catch (error) {
      await connection.close(EXIT_S_MAX, { hasSecrets: false });
      throw error;
    }
    return new Governance(connection, { caller: this.#caller, environment: this.#settings.environment, hasSecrets: this.#hasSecrets });
  }

  get #governing(): Governance {
    if (this.#governance === null) throw new Error("ControlZero is not initialized: await initialize() first");
    return this.#governance;
  }
}

function sinceMs(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 1000) / 1000;
}
