/**
 * Judges what another SDK judges, to compare them: one JSON object a line in, `{"policy", "calls"}`; one a line out, the
 * judgement of each call, or the problems of the policy.
 */

import { createInterface } from "node:readline";
import { PolicyError } from "../src/errors.js";
import { type JsonObject, asJson, asJsonObject } from "../src/json.js";
import { CompiledPolicy } from "../src/policy/evaluate.js";
import { parse } from "../src/policy/parse.js";
import { requestForEnforce } from "../src/policy/request.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { policy, calls } = JSON.parse(line) as { policy: unknown; calls: Record<string, unknown>[] };
  process.stdout.write(`${JSON.stringify(judged(policy, calls))}\n`);
}

function judged(policy: unknown, calls: Record<string, unknown>[]): unknown {
  try {
    const compiled = new CompiledPolicy([parse(asJson(policy))]);
    return calls.map((call) => {
      const { verdict, rule, reason, reasonCode, ruleId, evaluatedRules, resource, resourceClaimed } = compiled.judge(
        requestForEnforce(call.action as string, {
          resource: call.resource as string | null,
          context: asJsonObject(call.context, "context"),
          args: asJsonObject(call.args, "args"),
          tags: asJson(call.tags) as JsonObject | null,
        }),
      );
      return [verdict, rule, reason, reasonCode, ruleId, evaluatedRules, resource, resourceClaimed];
    });
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { problems: error.problems.map(({ path, message }) => [path, message]) };
  }
}
