/** A policy as JSON values, without what it does not say: the same policy has the same canonical text in every SDK. */

import { type Json, type JsonObject, type Scalar, emptyObject } from "../json.js";
import type { Policy, Rule, Wanted } from "./model.js";

/** Return a policy as JSON values; `parse` of it is the same policy. */
export function asWritten({ name, rules, description }: Policy): JsonObject {
  return objectOf([
    ["name", name],
    ["rules", rules.map(ruleAsWritten)],
    ["description", description],
  ]);
}

function ruleAsWritten({ effect, action, resource, conditions, id, reason, mode }: Rule): JsonObject {
  return objectOf([
    ["effect", effect],
    ["action", oneOrAll(action)],
    ["resource", oneOrAll(resource)],
    ["conditions", conditions.size > 0 ? objectOf([...conditions].map(([key, wanted]) => [key, wantedAsWritten(wanted)])) : null],
    ["id", id],
    ["reason", reason],
    ["mode", mode],
  ]);
}

function wantedAsWritten(wanted: Wanted): Json {
  return wanted instanceof Map ? objectOf([...wanted] as [string, Json][]) : (wanted as Scalar | Scalar[]);
}

function oneOrAll(patterns: readonly string[]): Json {
  return patterns.length === 1 ? patterns[0] : [...patterns];
}

function objectOf(entries: readonly [string, Json][]): JsonObject {
  const members = emptyObject();
  for (const [name, value] of entries) if (value !== null) members[name] = value;
  return members;
}
