import assert from "node:assert/strict";
import { test } from "node:test";
import { asJson } from "../src/json.js";
import { CompiledPolicy } from "../src/policy/evaluate.js";
import { RuleIndex } from "../src/policy/rule-index.js";
import { parse } from "../src/policy/parse.js";
import { type Request, requestForEnforce, requestForGuard } from "../src/policy/request.js";

const COUNT = 2_000;
const MEANT = 1_234;
const ASKED_MAX = 3;

/** What rule number `n` asks for, and a call that meets number `MEANT` alone. */
const KINDS: readonly [string, (n: number) => object, Request][] = [
  ["its action", (n) => ({ action: `tool${n}.run` }), requestForEnforce(`tool${MEANT}.run`)],
  ["the beginning of its action", (n) => ({ action: `tool${n}:*` }), requestForEnforce(`tool${MEANT}:run`)],
  ["its resource", (n) => ({ resource: `model/${n}` }), requestForEnforce("a", { resource: `model/${MEANT}` })],
  ["the beginning of its resource", (n) => ({ resource: `folder/${n}/*.txt` }), requestForEnforce("a", { resource: `folder/${MEANT}/b.txt` })],
  ["an argument", (n) => ({ resource: `model/${n}` }), requestForEnforce("a", { args: asked({ model: String(MEANT), messages: [{ role: "user" }] }) })],
  ["a number among its arguments", (n) => ({ resource: `order/${n}` }), requestForEnforce("a", { args: asked({ order: [MEANT] }) })],
  ["the beginning of an argument's name", (n) => ({ resource: `k${n}.*` }), requestForEnforce("a", { args: asked({ [`k${MEANT}.x`]: 1 }) })],
  ["the address behind its resource", (n) => ({ resource: `mcp://s/${n}` }), requestForGuard("s", { mcpUrl: `mcp://s/${MEANT}`, resource: "r" })],
  ["a fact", (n) => ({ conditions: { agent_id: `bot-${n}` } }), requestForEnforce("a", { context: asked({ agent_id: `bot-${MEANT}` }) })],
  ["a tag, of several", (n) => ({ conditions: { "tags.team": [`${n}`, `${n}-*`], tier: "gold" } }), requestForEnforce("a", { context: asked({ tier: "gold" }), tags: asked({ team: MEANT }) })],
];

for (const [kind, rule, request] of KINDS) {
  test(`the rule that is meant among thousands is found by ${kind}, and few others are asked`, () => {
    const policy = parse(asJson({ rules: Array.from({ length: COUNT }, (_, n) => ({ effect: "deny", action: "*", ...rule(n) })) }));
    const compiled = new CompiledPolicy([policy]);
    assert.equal(compiled.judge(request).rule, MEANT);
    assert.ok(new RuleIndex(compiled.rules).candidates(request).length <= ASKED_MAX);
  });
}

test("what is nested in an argument or a fact is found too, and the first that matches decides", () => {
  const rules = Array.from({ length: COUNT }, (_, n) => ({ effect: "deny", action: "*", resource: `path/${n}`, conditions: { tier: `t${n}` } }));
  const compiled = new CompiledPolicy([parse(asJson({ rules: [...rules, { effect: "allow", action: "*" }] }))]);
  const judged = (path: unknown, tier: unknown) => compiled.judge(requestForEnforce("a", { args: asked({ path }), context: asked({ tier }) })).rule;
  assert.equal(judged({ to: [{ deep: MEANT }] }, `t${MEANT}`), MEANT);
  assert.equal(judged(String(MEANT), ["t1", [`t${MEANT}`]]), MEANT);
  assert.equal(judged([7, MEANT], ["t7", `t${MEANT}`]), 7);
  assert.equal(judged("none", "t7"), COUNT);
});

function asked(value: object): Request["args"] {
  return asJson(value) as Request["args"];
}
