import assert from "node:assert/strict";
import { test } from "node:test";
import { PolicyError } from "../src/errors.js";
import { asJson, asJsonObject } from "../src/json.js";
import { CompiledPolicy } from "../src/policy/evaluate.js";
import { parse, parseText } from "../src/policy/parse.js";
import { requestForEnforce } from "../src/policy/request.js";

const allowAll = (conditions: object) => new CompiledPolicy([parse(asJson([{ effect: "allow", action: "*", conditions }]))]);

function problemOf(source: string): string {
  try {
    parseText(source, "p");
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    return error.message;
  }
  throw new assert.AssertionError({ message: `taken: ${source}` });
}

test("a key that is twice in an object is refused, as one of them would silently not count", () => {
  assert.match(problemOf('{"rules": [], "rules": []}'), /key `rules` is there twice in one object in line 1; keep one/);
});

test("what is no JSON is refused with its line", () => {
  assert.match(problemOf('{"rules": [\n  oops]}'), /not JSON: expected a value, got `oops` in line 2/);
  assert.match(problemOf('{"rules": [\n  1,\n]}'), /expected a value, got `\]` in line 3/);
  assert.match(problemOf('{"rules": [1'), /expected `,`, got the end of the text in line 1/);
  assert.match(problemOf("{rules: []}"), /expected a key in quotes, got `rules` in line 1/);
  assert.match(problemOf(""), /expected a value, got the end of the text in line 1/);
  assert.match(problemOf('{"rules": []} x'), /more than one value/);
  assert.match(problemOf("[".repeat(40)), /nests deeper/);
});

test("a fact has no members but those it was given", () => {
  const compiled = allowAll({ "args.constructor": { exists: true } });
  assert.equal(compiled.judge(requestForEnforce("a", { args: asJsonObject({}, "args") })).verdict, "deny");
  assert.equal(compiled.judge(requestForEnforce("a", { args: asJsonObject({ constructor: 1 }, "args") })).verdict, "allow");
  const proto = asJsonObject(JSON.parse('{"__proto__": {"k": "v"}}'), "args");
  assert.equal(allowAll({ "args.k": "v" }).judge(requestForEnforce("a", { args: proto })).verdict, "deny");
  assert.equal(allowAll({ "args.__proto__.k": "v" }).judge(requestForEnforce("a", { args: proto })).verdict, "allow");
});

test("what JSON does not have is judged by its type, and an object as it would be sent", () => {
  const judge = (wanted: string, value: unknown) =>
    allowAll({ "args.k": wanted }).judge(requestForEnforce("a", { args: asJsonObject({ k: value }, "args") })).verdict;
  assert.equal(
    judge("Function", () => 1),
    "allow",
  );
  assert.equal(judge("Number", Number.NaN), "allow");
  assert.equal(judge("Buffer", Buffer.from("x")), "allow");
  assert.equal(judge("5000", 5000n), "allow");
  assert.equal(judge("2026-11-21T00:00:00.000Z", new Date("2026-11-21T00:00:00Z")), "allow");
  assert.equal(judge('{"a":1}', new Map([["a", 1]])), "allow");
});

test("arguments that hold themselves are refused, not followed for ever", () => {
  const own: Record<string, unknown> = {};
  own.self = own;
  assert.throws(() => asJsonObject(own, "args"), /nest deeper/);
});

test("texts are ordered by characters, as in every SDK", () => {
  const compiled = allowAll({ "args.k": { gt: "\uffff" } });
  assert.equal(compiled.judge(requestForEnforce("a", { args: asJsonObject({ k: "\u{1f600}" }, "args") })).verdict, "allow");
});
