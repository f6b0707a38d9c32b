/** Facts about the caller that hold for every call within a function: a request's user, a session, its tags. */

import { AsyncLocalStorage } from "node:async_hooks";
import { type Json, type JsonObject, asJson, asJsonObject, emptyObject, isObject } from "./json.js";
import { meantOrKnown, unknownNames } from "./policy/near.js";

/** Who calls, and what surrounds the call. `context` has any other fact, by the name that policies give it. */
export interface Caller {
  readonly agentId?: string;
  readonly userId?: string;
  readonly userGroup?: string;
  readonly sessionId?: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly tags?: object;
  readonly context?: object;
}

/** The names of a caller's facts. */
export const CALLER: readonly string[] = Object.keys({
  agentId: true,
  userId: true,
  userGroup: true,
  sessionId: true,
  traceId: true,
  spanId: true,
  tags: true,
  context: true,
} satisfies Record<keyof Caller, true>);

const STORAGE = new AsyncLocalStorage<Caller[]>();
const OPEN_TELEMETRY = Symbol.for("opentelemetry.js.api.1");
const RUNNING_SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
const NAMES = [
  ["agentId", "agent_id"],
  ["userId", "user_id"],
  ["userGroup", "user_group"],
  ["sessionId", "session_id"],
] as const;

/**
 * Run a function in which all calls have these facts. It follows everything the function awaits or starts.
 *
 * Functions nest; a call's own facts say it more exactly.
 */
export function withContext<T>(caller: Caller, run: () => T): T {
  checkNames("withContext", caller, CALLER);
  return STORAGE.run([...callers(), caller], run);
}

/** Return the callers around this place, the outermost first. */
export function callers(): readonly Caller[] {
  return STORAGE.getStore() ?? [];
}

/** Return who a caller is, and nothing else that it says. */
export function namesOf({ agentId, userId, userGroup, sessionId, context }: Caller): Caller {
  const said = (context ?? {}) as Readonly<Record<string, unknown>>;
  const names = [...NAMES.map(([, name]) => name), "agent_name"].filter((name) => said[name] !== undefined);
  return { agentId, userId, userGroup, sessionId, context: Object.fromEntries(names.map((name) => [name, said[name]])) };
}

/** Throw TypeError for a call that says something under a name that is not known. */
export function checkNames(verb: string, given: object, known: readonly string[]): void {
  for (const name of unknownNames(given, known)) throw new TypeError(`${verb}: unknown member \`${name}\`; ${meantOrKnown(name, known)}`);
}

interface ActiveContext {
  getValue(key: symbol): unknown;
}

/** What several callers, the outermost first, say together; of tags each is merged by itself. */
export interface Surroundings {
  readonly context: JsonObject;
  readonly tags: JsonObject;
  readonly traceId: string | null;
  readonly spanId: string | null;
}

/** Return what callers say together: the inner one's word counts. */
export function surroundings(all: readonly Caller[]): Surroundings {
  const context = emptyObject();
  const tags = emptyObject();
  for (const caller of all) {
    for (const [option, name] of NAMES) {
      const said = caller[option];
      if (said !== undefined && said !== null) context[name] = asJson(said);
    }
    const { tags: inContext, ...others } = asJsonObject(caller.context, "context");
    Object.assign(context, others);
    Object.assign(tags, isObject(inContext) ? inContext : null, asJsonObject(caller.tags, "tags"));
  }
  const last = (option: "traceId" | "spanId", name: string) => text(all.findLast((caller) => caller[option] != null)?.[option] ?? context[name]);
  return { context, tags, traceId: last("traceId", "trace_id"), spanId: last("spanId", "span_id") };
}

/**
 * Return the ids of the OpenTelemetry span that runs here, where the host has OpenTelemetry at all.
 *
 * Its API keeps itself under well-known symbols, so that several copies of it are one: nothing needs to be imported.
 */
export function runningSpan(): { traceId: string; spanId: string } | null {
  const api = (globalThis as Record<symbol, { context?: { active(): ActiveContext } } | undefined>)[OPEN_TELEMETRY];
  const span = api?.context?.active().getValue(RUNNING_SPAN) as { spanContext(): { traceId: string; spanId: string } } | undefined;
  const { traceId, spanId } = span?.spanContext() ?? { traceId: "", spanId: "" };
  return /[1-9a-f]/.test(traceId) ? { traceId, spanId } : null; // all zeros: no span
}

function text(value: Json | undefined): string | null {
  return value === undefined || value === null ? null : String(value);
}
