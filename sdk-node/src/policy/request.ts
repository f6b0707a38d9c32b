/** What a policy is asked about: one call, its action and resource in canonical form, and the facts around it. */

import { type Json, type JsonObject, NOTHING, isObject } from "../json.js";
import { text } from "./canonical.js";

const MCP_SCHEME = "mcp://";
export const MCP_CALL = "mcp:tool:call"; // what every call of a tool behind MCP is, beside its own name
// Control, zero-width and bidi characters: what a person reading a name would not see
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/**
 * One call to be judged.
 *
 * `actions` are canonical: the recorded one first, then its aliases. `resource` is the explicit one; `reached` the MCP
 * URL behind it where that is another.
 */
export interface Request {
  readonly actions: readonly string[];
  readonly actionRaw: string;
  readonly resource: string | null;
  readonly agentId: Json;
  readonly userId: Json;
  readonly userGroup: Json;
  readonly sessionId: Json;
  readonly context: JsonObject;
  readonly tags: JsonObject;
  readonly args: JsonObject;
  readonly reached: string | null;
}

/** What surrounds a call, as JSON values. */
export interface Around {
  readonly resource?: string | null;
  readonly context?: JsonObject;
  readonly args?: JsonObject;
  readonly tags?: JsonObject | null;
}

/** Return an action as it is matched and recorded: ASCII lower case, `:` for `.`. */
export function canonicalAction(action: string): string {
  return action.replace(/[A-Z.]/g, (character) => (character === "." ? ":" : character.toLowerCase()));
}

/** Tell whether an action or resource holds an invisible character or a `..` segment. */
export function isMalformed(name: string): boolean {
  return INVISIBLE.test(name) || (name.includes("..") && name.split("/").includes(".."));
}

/** Return the request that an action named in full makes, such as `llm.generate` on `model/gpt-5.4`. */
export function requestForEnforce(action: string, around: Around = {}): Request {
  const resource = around.resource ?? resourceOf(around.context ?? NOTHING);
  return request(action, resource, null, around);
}

/**
 * Return the request of a tool call: `tool:method` on the resource that context or caller name.
 *
 * Without one, a tool that is a path is the resource (`vectorstore/papers` read is `vectorstore:read` on it), else
 * `mcpUrl`, the URL of the tool behind MCP. A call without a method is `tool:call` on `tool/<tool>`.
 */
export function requestForGuard(tool: string, { method = null, mcpUrl = null, ...around }: Around & { method?: string | null; mcpUrl?: string | null } = {}): Request {
  const [actionRaw, ownResource] = named(tool, method);
  const resource = around.resource ?? resourceOf(around.context ?? NOTHING) ?? ownResource ?? mcpUrl;
  return request(actionRaw, resource, mcpUrl === resource ? null : mcpUrl, around);
}

/** Return the action a tool and method make, and the resource that the tool itself is, if it is one. */
function named(tool: string, method: string | null): [string, string | null] {
  if (method === null) return ["tool:call", tool.includes("/") ? tool : `tool/${tool}`];
  if (!tool.includes("/")) return [`${tool}:${method}`, null];
  const place = tool.indexOf("://");
  return [`${tool.slice(0, place >= 0 ? place : tool.indexOf("/"))}:${method}`, tool];
}

function request(actionRaw: string, resource: string | null, reached: string | null, around: Around): Request {
  const { context = NOTHING, args = NOTHING } = around;
  const action = canonicalAction(actionRaw);
  const isMcp = reached !== null || (resource !== null && resource.startsWith(MCP_SCHEME));
  const inContext = context.tags;
  return {
    actions: isMcp && action !== MCP_CALL ? [action, MCP_CALL] : [action],
    actionRaw,
    resource,
    agentId: context.agent_id ?? context.agent_name ?? null,
    userId: context.user_id ?? null,
    userGroup: context.user_group ?? null,
    sessionId: context.session_id ?? null,
    context,
    tags: around.tags ?? (isObject(inContext) ? inContext : NOTHING),
    args,
    reached,
  };
}

function resourceOf(context: JsonObject): string | null {
  const resource = context.resource ?? null;
  return resource === null ? null : text(resource);
}
