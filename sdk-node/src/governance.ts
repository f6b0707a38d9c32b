/** The one edge behind a client: judge, record before the action, hand the decision out; record what became of it. */

import { CALLER, type Caller, callers, checkNames, namesOf, runningSpan, surroundings } from "./ambient.js";
import { type Clock, now } from "./clock.js";
import type { Connection } from "./connection.js";
import { type Outcome, PolicyDecision } from "./decisions.js";
import { Rejected } from "./errors.js";
import { type Call, type Governed, type Ruling, decisionLine, ruleOn, ruleUnderOrders, ruleWithoutRecord, ruleWithoutVerdict } from "./guarding.js";
import { newId } from "./ids.js";
import { asJsonObject } from "./json.js";
import { text } from "./policy/canonical.js";
import { type Request, canonicalAction, requestForEnforce, requestForGuard } from "./policy/request.js";
import type { OutcomeRecord } from "./records.js";
import { Told } from "./told.js";

/** An action named in full, such as `llm.generate` on `model/gpt-5.4`. */
export interface ActionCall extends Caller {
  readonly action: string;
  readonly resource?: string;
  readonly args?: object;
  /** The message beside the action: looked at for personal data, never judged. */
  readonly text?: string;
}

/** The call of a tool's method; what the call is on stands in `context.resource`. */
export interface ToolCall extends Caller {
  readonly tool: string;
  readonly method?: string;
  readonly args?: object;
  readonly text?: string;
}

type Own<Call> = Record<Exclude<keyof Call, keyof Caller>, true>;
const ACTION_CALL = [...Object.keys({ action: true, resource: true, args: true, text: true } satisfies Own<ActionCall>), ...CALLER];
const TOOL_CALL = [...Object.keys({ tool: true, method: true, args: true, text: true } satisfies Own<ToolCall>), ...CALLER, "context.resource"];

/** What every call of a client has around it, unless it says otherwise. */
export interface ClientFacts {
  readonly caller: Caller;
  readonly environment: string | null;
  readonly hasSecrets: boolean;
}

/** A denial that nobody has looked at yet. */
interface Unread {
  readonly decisionId: string;
}

/** Governs calls for one client. Nothing here throws into the host but a denial under enforce or by an order. */
export class Governance {
  readonly #connection: Connection;
  readonly #facts: ClientFacts;
  readonly #clock: Clock = now;
  readonly #told = new Told();
  readonly #unread = new Set<Unread>();
  readonly #gone = new FinalizationRegistry<Unread>((unread) => this.#noteUnread(unread));
  readonly #self = new WeakRef(this);
  #isClosed = false;

  constructor(connection: Connection, facts: ClientFacts) {
    this.#connection = connection;
    this.#facts = facts;
    OPEN.add(this.#self);
  }

  get governed(): Governed {
    return this.#connection.source.governed;
  }

  get producerId(): string | null {
    return this.#connection.recorder.producerId;
  }

  /** Judge and record a tool call. */
  guard(call: ToolCall): PolicyDecision {
    isNamed("guard", call?.tool, '{ tool: "llm", method: "generate", args: { model: "gpt-5.4" } }');
    checkNames("guard", call, TOOL_CALL);
    const { tool, method = null } = call;
    isText("guard", "method", method);
    isText("guard", "text", call.text ?? null);
    return this.#decided(call, { actionRaw: tool, tool, method }, (around) => requestForGuard(tool, { method, ...around }));
  }

  /** Judge and record an action named in full. */
  enforce(call: ActionCall): PolicyDecision {
    isNamed("enforce", call?.action, '{ action: "llm.generate", resource: "model/gpt-5.4" }');
    checkNames("enforce", call, ACTION_CALL);
    const { action, resource = null } = call;
    isText("enforce", "resource", resource);
    isText("enforce", "text", call.text ?? null);
    const named = { actionRaw: action, tool: null, method: null };
    return this.#decided(call, named, (around) => requestForEnforce(action, { ...around, resource }));
  }

  /** Return a secret of the project. Throws `Rejected` where there is none to be had. */
  secret(name: string): string {
    if (!this.#facts.hasSecrets) throw new Rejected(`secret \`${name}\`: this client holds none; make it with { secretsEnabled: true }`);
    if (this.#isClosed) throw new Rejected(`secret \`${name}\`: the client is closed, and what it held is wiped`);
    return this.#connection.vault.get(name);
  }

  async flush(timeoutS: number): Promise<boolean> {
    return await this.#connection.recorder.flush(timeoutS);
  }

  /** Note what nobody read, and leave the connection. */
  async close(timeoutS: number): Promise<boolean> {
    if (this.#isClosed) return true;
    this.#isClosed = true;
    OPEN.delete(this.#self);
    this.noteUnread();
    return await this.#connection.close(timeoutS, this.#facts);
  }

  /** Record each denial that nobody has looked at: the action most likely went ahead. */
  noteUnread(): void {
    for (const unread of [...this.#unread]) this.#noteUnread(unread);
  }

  #decided(
    said: Caller & { readonly args?: object; readonly text?: string },
    named: { actionRaw: string; tool: string | null; method: string | null },
    requestOf: (around: object) => Request,
  ): PolicyDecision {
    const { governed } = this;
    const at = this.#clock();
    const startedAt = process.hrtime.bigint();
    let request: Request | null = null;
    let ruling: Ruling;
    let ids = { traceId: null as string | null, spanId: null as string | null };
    try {
      const { context, tags, ...spans } = surroundings([this.#facts.caller, ...callers(), said]);
      ids = spans.traceId === null && spans.spanId === null ? (this.#runningSpan() ?? spans) : spans;
      request = requestOf({ context, tags, args: asJsonObject(said.args, "args") });
      ruling = ruleOn(governed, request, at);
    } catch (error) {
      request = this.#askedFor(requestOf, said); // an evaluator that fails must not take the agent with it; enforce denies
      ruling = this.#withoutVerdict(governed, error);
    }
    const evaluationTimeNs = Number(process.hrtime.bigint() - startedAt);
    const call: Call = {
      ...named,
      ...ids,
      actionRaw: request?.actionRaw ?? named.actionRaw,
      text: said.text ?? null,
      environment: this.#facts.environment,
    };
    return this.#recorded(governed, call, request, this.#underOrders(ruling, governed, request, said), { at, evaluationTimeNs });
  }

  /** Return who asked for which action, and nothing of what made judging it fail: the record is to name them. */
  #askedFor(requestOf: (around: object) => Request, said: Caller): Request | null {
    try {
      const { context } = surroundings([this.#facts.caller, ...callers(), said].map(namesOf));
      return requestOf({ context });
    } catch (error) {
      this.#told.say(`Who asked could not be read: ${classOf(error)}`);
      return null; // then it is recorded without
    }
  }

  /** Who cannot be told from an agent that is stopped is stopped. */
  #underOrders(ruling: Ruling, governed: Governed, request: Request | null, said: Caller): Ruling {
    if (governed.orders.length === 0) return ruling;
    const named = request === null ? (said.agentId ?? callers().findLast(({ agentId }) => agentId)?.agentId ?? this.#facts.caller.agentId ?? null) : request.agentId;
    return ruleUnderOrders(ruling, governed, named === null ? "" : text(named));
  }

  #recorded(governed: Governed, call: Call, request: Request | null, judged: Ruling, took: { at: number; evaluationTimeNs: number }): PolicyDecision {
    const decisionId = newId(took.at);
    let isRecorded = false;
    try {
      isRecorded = this.#connection.recorder.record(decisionLine(governed, call, request, judged, { decisionId, ...took }));
    } catch (error) {
      this.#lose(error); // recording never throws into the host
    }
    const ruling = isRecorded ? judged : ruleWithoutRecord(judged, governed);
    const unread: Unread = { decisionId };
    const decision = new PolicyDecision({
      decisionId,
      action: this.#action(call, request),
      resource: ruling.resource === null ? null : this.#withoutSecrets(ruling.resource),
      ruling,
      evaluationTimeNs: took.evaluationTimeNs,
      isRecorded,
      onRead: () => this.#unread.delete(unread),
      recordOutcome: (id, outcome) => this.#recordOutcome(id, outcome),
    });
    if (!ruling.allowed) {
      this.#unread.add(unread);
      this.#gone.register(decision, unread);
    }
    return decision;
  }

  /** Return the action as a decision shows it: as it was judged, without a secret that stands in it. */
  #action(call: Call, request: Request | null): string {
    const shown = this.#withoutSecrets(call.actionRaw);
    if (request === null) return shown;
    return shown === call.actionRaw ? request.actions[0] : canonicalAction(shown); // as the record has it
  }

  #withoutSecrets(words: string): string {
    if (this.#connection.vault.find(words).length === 0) return words;
    return this.governed.masking.text(words, "text", Number.POSITIVE_INFINITY, []);
  }

  #noteUnread(unread: Unread): void {
    if (this.#unread.delete(unread)) this.#recordOutcome(unread.decisionId, { status: "denied", carriedOut: false }, { isUnread: true });
  }

  #recordOutcome(decisionId: string, outcome: Outcome, { isUnread = false } = {}): void {
    try {
      const { status = "ok", carriedOut = true, error } = outcome;
      const hasError = error !== undefined && error !== null;
      const record: OutcomeRecord = {
        kind: "outcome",
        decision_id: decisionId,
        occurred_at: this.#clock(),
        carried_out: carriedOut,
        status: hasError && status === "ok" ? "error" : status,
        error_class: hasError ? classOf(error) : undefined,
        latency_ms: outcome.latencyMs,
        input_tokens: outcome.inputTokens,
        output_tokens: outcome.outputTokens,
        cost_usd: outcome.costUsd,
        denial_unread: isUnread || undefined,
      };
      this.#connection.recorder.record(JSON.stringify(record));
    } catch (error) {
      this.#lose(error); // recording never throws into the host
    }
  }

  #runningSpan(): ReturnType<typeof runningSpan> {
    try {
      return runningSpan();
    } catch (error) {
      this.#told.say(`The running span could not be read, so decisions carry no trace id: ${classOf(error)}`);
      return null; // the host's tracer must not take the agent with it
    }
  }

  #withoutVerdict(governed: Governed, error: unknown): Ruling {
    this.#told.say(`The policy could not be evaluated, so enforce denies and log-only goes ahead: ${classOf(error)}: ${(error as Error).message}`);
    return ruleWithoutVerdict(governed);
  }

  #lose(error: unknown): void {
    this.#told.say(`A record could not be written and is counted as lost: ${classOf(error)}`);
    try {
      this.#connection.recorder.lose();
    } catch (second) {
      this.#told.say(`Nor could the loss be counted: ${classOf(second)}`);
    }
  }
}

/** Have a caller know that the call is one object: else it would be judged as nothing, and denied without a word that helps. */
function isNamed(verb: string, name: unknown, example: string): void {
  if (typeof name !== "string") throw new TypeError(`${verb}: expected one object that names what is called, such as ${example}`);
}

/** Refuse what is no text: it could not be judged, or not be recorded. */
function isText(verb: string, part: string, said: unknown): void {
  if (said !== null && typeof said !== "string") throw new TypeError(`${verb}: the ${part} is ${classOf(said)}, expected text`);
}

function classOf(error: unknown): string {
  return (error as object | null)?.constructor?.name ?? typeof error;
}

const OPEN = new Set<WeakRef<Governance>>();

function noteUnread(): void {
  for (const governance of OPEN) governance.deref()?.noteUnread();
}

// Added here, before the recorder adds its own: what is noted is to be delivered.
process.on("beforeExit", noteUnread);
process.on("exit", noteUnread);
