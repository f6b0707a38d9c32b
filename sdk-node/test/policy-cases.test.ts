/** The shared cases of policies: data that every SDK must agree on. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { PolicyError } from "../src/errors.js";
import { type JsonObject, asJson, asJsonObject } from "../src/json.js";
import { CompiledPolicy } from "../src/policy/evaluate.js";
import { parse } from "../src/policy/parse.js";
import { type Request, requestForEnforce, requestForGuard } from "../src/policy/request.js";

interface Case {
  readonly call?: Record<string, unknown>;
  readonly guard?: Record<string, unknown>;
  readonly wanted: Record<string, unknown>;
}

interface Group {
  readonly file: string;
  readonly description: string;
  readonly policy: unknown;
  readonly cases?: readonly Case[];
  readonly refused?: readonly { path: string; message: string }[];
}

const groups = JSON.parse(readFileSync(new URL("../../test/policy-cases.json", import.meta.url), "utf-8")) as Group[];

for (const group of groups) {
  describe(`${group.file}: ${group.description}`, () => {
    if (group.refused !== undefined) test("is refused with every problem", () => assertRefused(group));
    for (const [place, each] of (group.cases ?? []).entries()) test(`case ${place}`, () => assertJudged(group, each));
  });
}

test("there are cases of every kind", () => {
  const files = new Set(groups.map(({ file }) => file));
  for (const name of ["seeds", "actions", "resources", "conditions", "refused"]) assert.ok(files.has(`${name}.yaml`));
  assert.ok(groups.flatMap(({ cases = [] }) => cases).length > 100);
});

function assertJudged({ policy }: Group, each: Case): void {
  const compiled = new CompiledPolicy([parse(asJson(policy))]);
  const request = asked(each);
  const judged = compiled.judge(request);
  const said: Record<string, unknown> = {
    verdict: judged.verdict,
    rule: judged.rule,
    rule_id: judged.ruleId,
    policy_id: judged.policyId,
    reason: judged.reason,
    reason_code: judged.reasonCode,
    evaluated_rules: judged.evaluatedRules,
    resource: judged.resource,
    resource_claimed: judged.resourceClaimed,
    mode: judged.mode,
    actions: request.actions,
    reads: compiled.reads,
  };
  for (const [name, wanted] of Object.entries(each.wanted)) assert.deepEqual(said[name], wanted, name);
}

function assertRefused({ policy, refused = [] }: Group): void {
  assert.throws(
    () => parse(asJson(policy)),
    (error: unknown) => {
      assert.ok(error instanceof PolicyError);
      assert.deepEqual(
        error.problems.map(({ path }) => path),
        refused.map(({ path }) => path),
      );
      refused.forEach(({ message }, place) => assert.ok(error.problems[place].message.includes(message), error.problems[place].message));
      return true;
    },
  );
}

function asked({ call, guard }: Case): Request {
  const said = call ?? guard ?? {};
  const around = {
    resource: said.resource as string | undefined,
    context: asJsonObject(said.context, "context"),
    args: asJsonObject(said.args, "args"),
    tags: said.tags === undefined ? null : (asJson(said.tags) as JsonObject),
  };
  if (call !== undefined) return requestForEnforce(said.action as string, around);
  return requestForGuard(said.tool as string, { ...around, method: said.method as string | undefined, mcpUrl: said.mcp_url as string | undefined });
}
