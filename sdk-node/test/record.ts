/** Records what another SDK judges again from the record: a line of JSON in, `{"policy", "calls"}`; one out, each decision as it is sent. */

import { createInterface } from "node:readline";
import { type Governed, decisionLine, ruleOn } from "../src/guarding.js";
import { type JsonObject, asJson, asJsonObject } from "../src/json.js";
import { Masking } from "../src/masking.js";
import { CompiledPolicy } from "../src/policy/evaluate.js";
import { parse } from "../src/policy/parse.js";
import { requestForEnforce } from "../src/policy/request.js";
import { Vault } from "../src/vault.js";

const masking = new Masking(Buffer.from("a key for tests, never for data!"), new Vault());

for await (const line of createInterface({ input: process.stdin })) {
  const { policy, calls } = JSON.parse(line) as { policy: unknown; calls: Record<string, unknown>[] };
  const governed: Governed = {
    compiled: new CompiledPolicy([parse(asJson(policy))]),
    masking,
    projectId: "default",
    mode: "enforce",
    bundleDigest: "b",
    bundleState: null,
    expiresAt: null,
    onStale: "keep",
    onUnrecordable: "go_on",
    orders: [],
  };
  process.stdout.write(`${JSON.stringify(calls.map((call) => recorded(governed, call)))}\n`);
}

function recorded(governed: Governed, call: Record<string, unknown>): string {
  const request = requestForEnforce(call.action as string, {
    resource: call.resource as string | null,
    context: asJsonObject(call.context, "context"),
    args: asJsonObject(call.args, "args"),
    tags: asJson(call.tags) as JsonObject | null,
  });
  const said = { actionRaw: call.action as string, tool: null, method: null, text: null, traceId: null, spanId: null, environment: null };
  const decided = { decisionId: "01990000-0000-7000-8000-000000000001", at: 1_790_000_000_000_000, evaluationTimeNs: 1 };
  return decisionLine(governed, said, request, ruleOn(governed, request, decided.at), decided);
}
