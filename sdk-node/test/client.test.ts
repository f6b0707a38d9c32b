import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { inspect } from "node:util";
import {
  ControlZero,
  PolicyDecision,
  PolicyDeniedError,
  PolicyError,
  PolicyViolationError,
  Rejected,
  Unavailable,
  withContext,
} from "@controlzero/sdk";
import { context as otel, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { API_KEY, NO_ANSWER, aSigner, czpolicyOf, endorsementText, keyText } from "./gateway-double.js";
import { aPlace as aPlaceUnder, files, folder, temporaryFilesIn, until, written } from "./places.js";
import { program } from "./program.js";

const RULES = [
  { id: "no", effect: "deny", action: "shell:*", reason: "no shells" },
  { id: "vip", effect: "warn", action: "refund:*", conditions: { "tags.team": "ops", user_id: "u1" } },
  { id: "rest", effect: "allow", action: "*" },
];

/** Start a gateway whose project enforces `RULES`, and say how clients of it are opened. */
const aPlace = (context: TestContext, settings: object = {}) => aPlaceUnder(context, { rules: RULES }, settings);

test("a call that is not one object says how it is written, and is no decision", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  await assert.rejects(async () => cz.guard("llm" as never), { name: "TypeError", message: /guard: expected one object .* tool: "llm"/ });
  await assert.rejects(async () => cz.enforce(undefined as never), { name: "TypeError", message: /enforce: .* action: "llm.generate"/ });
  await assert.rejects(async () => cz.guard({ tool: "llm", method: 5 as never }), { name: "TypeError", message: "guard: the method is Number, expected text" });
  await assert.rejects(async () => cz.guard({ tool: "llm", text: [] as never }), { name: "TypeError", message: "guard: the text is Array, expected text" });
  await assert.rejects(async () => cz.enforce({ action: "a.b", resource: {} as never }), { message: "enforce: the resource is Object, expected text" });
  await cz.close();
  assert.equal(gateway.records("decision").length, 0);
});

test("what is given under a name that is not known is said, as it would count for nothing", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  const call = { tool: "llm", method: "generate" };
  assert.throws(() => cz.guard({ ...call, agent_id: "bot" } as never), { name: "TypeError", message: "guard: unknown member `agent_id`; did you mean `agentId`?" });
  assert.throws(() => cz.guard({ ...call, resource: "model/a" } as never), /guard: unknown member `resource`; did you mean `context.resource`\?/);
  await assert.rejects(cz.enforce({ action: "llm.generate", model: "a" } as never), /enforce: unknown member `model`; known are `action`, `resource`/);
  assert.throws(() => withContext({ user_id: "u" } as never, () => 0), /withContext: unknown member `user_id`; did you mean `userId`\?/);
  assert.equal(cz.guard({ ...call, userId: undefined, later: undefined } as never).allowed, true);
  await cz.close();
  assert.equal(gateway.records("decision").length, 1);
});

test("a denial under enforce rejects, with the whole decision", async (context) => {
  const cz = await (await aPlace(context)).open();
  assert.equal((await cz.enforce({ action: "llm.generate", resource: "model/gpt-4" })).allowed, true);
  await assert.rejects(cz.enforce({ action: "shell.run" }), (error: unknown) => {
    assert.ok(error instanceof PolicyDeniedError);
    assert.ok(error instanceof PolicyViolationError);
    assert.ok(error.decision instanceof PolicyDecision);
    assert.deepEqual([error.decision.effect, error.decision.ruleId, error.decision.reason], ["deny", "no", "no shells"]);
    assert.equal(error.message, "shell:run is denied: no shells");
    return true;
  });
  assert.equal(cz.guard({ tool: "shell", method: "run" }).allowed, false);
});

test("no verdict rejects while the project only logs", async (context) => {
  const cz = await (await aPlace(context, { mode: "log-only" })).open();
  const decision = await cz.enforce({ action: "shell.run" });
  assert.deepEqual([decision.allowed, decision.effect, decision.verdict, decision.mode], [true, "allow", "deny", "log-only"]);
});

test("a rule that only logs lets through what it denies, under its own mode", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*", mode: "log-only" }] });
  const decision = await (await open()).enforce({ action: "shell.run" });
  assert.deepEqual([decision.allowed, decision.verdict, decision.mode], [true, "deny", "log-only"]);
});

test("what cannot be judged is denied under enforce and goes ahead where it is only logged", async (context) => {
  const own: Record<string, unknown> = {};
  own.self = own;
  const { gateway, open } = await aPlace(context);
  const enforcing = await open();
  const logging = await (await aPlace(context, { mode: "log-only" })).open();
  const [denied, logged] = [enforcing, logging].map((cz) => cz.guard({ tool: "search", args: own }));
  assert.deepEqual([denied.allowed, denied.reasonCode], [false, "evaluator_error"]);
  assert.deepEqual([logged.allowed, logged.reasonCode, logged.isRecorded], [true, "evaluator_error", true]);
  enforcing.guard({ tool: "search", method: "read", args: own, userId: "ada", context: { agent_id: "bot", note: own } });
  assert.ok(await enforcing.flush());
  const { action, agent_id, user_id } = gateway.records("decision").at(-1) ?? {};
  assert.deepEqual([action, agent_id, user_id], ["search:read", "bot", "ada"], "who asked for what is known");
});

test("facts around a function hold for every call in it, whatever it awaits", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open({ agentId: "bot", tags: { region: "eu" } });
  await withContext({ userId: "u1", tags: { team: "dev" } }, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(cz.guard({ tool: "refund", method: "pay" }).ruleId, "rest");
    await withContext({ tags: { team: "ops" } }, async () => {
      await Promise.resolve();
      assert.equal(cz.guard({ tool: "refund", method: "pay" }).ruleId, "vip");
      assert.equal(cz.guard({ tool: "refund", method: "pay", userId: "u2" }).ruleId, "rest");
    });
  });
  assert.equal(cz.guard({ tool: "refund", method: "pay" }).ruleId, "rest");
  assert.ok(await cz.flush());
  const [first, second, third, last] = gateway.records("decision");
  assert.deepEqual([first.agent_id, first.user_id, first.tags], ["bot", "u1", { region: "eu", team: "dev" }]);
  assert.deepEqual([second.user_id, second.tags], ["u1", { region: "eu", team: "ops" }]);
  assert.equal(third.user_id, "u2");
  assert.deepEqual([last.user_id, last.tags], [undefined, { region: "eu" }]);
});

test("a decision has the ids of the span that runs, unless it is given others", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  otel.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  context.after(() => otel.disable());
  const ids = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };
  await otel.with(trace.setSpan(otel.active(), trace.wrapSpanContext(ids)), async () => {
    await Promise.resolve();
    cz.guard({ tool: "search" });
    cz.guard({ tool: "search", traceId: "t1" });
  });
  cz.guard({ tool: "search" });
  assert.ok(await cz.flush());
  assert.deepEqual(
    gateway.records("decision").map(({ trace_id, span_id }) => [trace_id, span_id]),
    [
      [ids.traceId, ids.spanId],
      ["t1", undefined],
      [undefined, undefined],
    ],
  );
});

test("a function is carried out only where it may be, and what became of it is recorded", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  assert.equal(await cz.guarded({ tool: "search" }, () => 42), 42);
  await assert.rejects(
    cz.guarded({ tool: "search" }, () => {
      throw new RangeError("bob@example.com is not there");
    }),
    RangeError,
  );
  let hasRun = false;
  await assert.rejects(
    cz.guarded({ tool: "shell", method: "run" }, () => {
      hasRun = true;
    }),
    PolicyDeniedError,
  );
  await cz.guarded({ tool: "search" }, (decision) => decision.outcome({ inputTokens: 3, outputTokens: 4, costUsd: 0.5 }));
  assert.equal(hasRun, false);
  assert.ok(await cz.flush());
  const outcomes = gateway.records("outcome");
  assert.deepEqual(
    outcomes.map(({ carried_out, status, error_class }) => [carried_out, status, error_class]),
    [
      [true, "ok", undefined],
      [true, "error", "RangeError"],
      [false, "denied", undefined],
      [true, "ok", undefined],
    ],
  );
  assert.ok((outcomes[0].latency_ms as number) >= 0);
  assert.deepEqual([outcomes[3].input_tokens, outcomes[3].output_tokens, outcomes[3].cost_usd], [3, 4, 0.5]);
  assert.equal(JSON.stringify(gateway.records()).includes("bob@"), false);
});

test("a denial that nobody looked at is noted", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  const seen = cz.guard({ tool: "shell", method: "run" });
  assert.equal(seen.allowed, false);
  const { decisionId } = cz.guard({ tool: "shell", method: "run" });
  assert.ok(await cz.close());
  const noted = gateway.records("outcome").map(({ decision_id, denial_unread }) => [decision_id, denial_unread]);
  assert.deepEqual(noted, [[decisionId, true]]);
});

test("an order stops its agent in every mode but off, and no other", async (context) => {
  const { gateway, open } = await aPlace(context, { mode: "log-only" });
  const cz = await open({ agentId: "bot" });
  assert.equal(cz.guard({ tool: "search" }).allowed, true);
  gateway.putOrders({ order_id: "o1", reason: "it spends", agent_id: "bot" });
  await until(() => !cz.guard({ tool: "search" }).allowed);
  const stopped = cz.guard({ tool: "search" });
  assert.deepEqual([stopped.reasonCode, stopped.reason, stopped.verdict, stopped.effect], ["order", "it spends", "allow", "deny"]);
  assert.equal(cz.guard({ tool: "search", agentId: "other" }).allowed, true);
  const own: Record<string, unknown> = {};
  own.self = own;
  assert.equal(cz.guard({ tool: "search", args: own }).reasonCode, "order", "also where the request could not be read");
  gateway.putPolicy({ rules: RULES }, { mode: "off" });
  await until(() => cz.mode === "off");
  const ungoverned = cz.guard({ tool: "shell", method: "run" });
  assert.deepEqual([ungoverned.allowed, ungoverned.verdict, ungoverned.reasonCode], [true, null, "governance_off"]);
});

test("a thousand orders reach an agent too", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.orders = Array.from({ length: 1_000 }, (_, each) => ({ order_id: `o${each}`, reason: "it spends more than it may", agent_id: `bot-${each}` }));
  const cz = await open({ agentId: "bot-999" });
  assert.equal(cz.guard({ tool: "search" }).reasonCode, "order");
});

test("another bundle is judged by as soon as it is there, an older one never", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*" }] });
  await until(() => !cz.guard({ tool: "search" }).allowed);
  gateway.czpolicy = czpolicyOf({ version: 1, policies: [{ name: "p", rules: RULES }] }, gateway.signers[0]);
  gateway.changed();
  const recorded = () => gateway.records("decision").some(({ bundle_state }) => bundle_state === "rollback_refused");
  await until(() => !cz.guard({ tool: "search" }).allowed && recorded());
});

test("a client starts by the bundle it kept where the gateway is away, says so, and refuses what is older than it even then", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*" }] });
  await (await open()).close();
  gateway.isAway = true;
  const away = await open();
  assert.equal(away.guard({ tool: "search" }).allowed, false);
  gateway.isAway = false;
  await until(() => !away.guard({ tool: "search" }).allowed && gateway.records("decision").some(({ bundle_state }) => bundle_state === undefined), 15_000);
  assert.ok(await away.close());
  assert.equal(gateway.records("decision")[0].bundle_state, "unconfirmed");
  gateway.czpolicy = czpolicyOf({ version: 1, policies: [{ name: "p", rules: RULES }] }, gateway.signers[0]);
  const offered = await open();
  assert.equal(offered.guard({ tool: "search" }).allowed, false);
  await offered.close();
  assert.equal(gateway.records("decision").at(-1)?.bundle_state, "rollback_refused");
  const elsewhere = new ControlZero({ apiKey: API_KEY, baseUrl: "http://127.0.0.1:9", spool });
  await assert.rejects(elsewhere.initialize(), Unavailable);
});

test("a bundle by another key is taken only where a trusted one speaks for it", async (context) => {
  const { gateway, open } = await aPlace(context);
  await (await open()).close();
  const [first] = gateway.signers;
  const next = aSigner();
  gateway.signers = [next, first];
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*" }] });
  const refusing = await open();
  assert.equal(refusing.guard({ tool: "search" }).allowed, true);
  await refusing.close();
  assert.equal(gateway.records("decision")[0].bundle_state, "signature_refused");
  gateway.endorsements = [endorsementText(first, next)];
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*" }] });
  assert.equal((await open()).guard({ tool: "search" }).allowed, false);
});

test("who does not have the trusted key can sign neither a bundle nor another key", async (context) => {
  const { gateway, open } = await aPlace(context);
  await (await open()).close();
  const [trusted] = gateway.signers;
  const forger = { ...aSigner(), id: trusted.id };
  const everything = { version: 9, policies: [{ name: "p", rules: [{ effect: "allow", action: "*" }] }] };
  gateway.czpolicy = czpolicyOf(everything, forger);
  const forged = await open();
  assert.equal(forged.guard({ tool: "shell", method: "run" }).allowed, false);
  await forged.close();
  const next = aSigner();
  gateway.signers = [next, trusted];
  gateway.endorsements = [endorsementText(forger, next)];
  gateway.czpolicy = czpolicyOf(everything, next);
  assert.equal((await open()).guard({ tool: "shell", method: "run" }).allowed, false);
  assert.equal(gateway.records("decision")[0].bundle_state, "signature_refused");
});

test("a key that a person gave is trusted and no other", async (context) => {
  const { gateway, open } = await aPlace(context);
  await assert.rejects(open({ signingKey: keyText(aSigner()) }), /signed by/);
  assert.equal((await open({ signingKey: `${keyText(gateway.signers[0])}\n${endorsementText(gateway.signers[0], aSigner())}` })).mode, "enforce");
});

test("a bundle past its age denies where the project says so", async (context) => {
  const { open, gateway } = await aPlace(context, { expires_at: 5, on_stale: "deny" });
  const cz = await open();
  const decision = cz.guard({ tool: "search" });
  assert.deepEqual([decision.allowed, decision.reasonCode, decision.verdict], [false, "stale_bundle", "allow"]);
  assert.ok(await cz.flush());
  assert.equal(gateway.records("decision")[0].bundle_state, "expired");
});

test("a refused key is said at once, a gateway that is away after two seconds", async (context) => {
  const { open } = await aPlace(context);
  await assert.rejects(open({ apiKey: "cz_live_wrong" }), (error: unknown) => error instanceof Rejected && /refused \(401\)/.test(error.message));
  const startedAt = performance.now();
  await assert.rejects(open({ baseUrl: "http://127.0.0.1:9" }), (error: unknown) => error instanceof Unavailable && /is it up/.test(error.message));
  assert.ok(performance.now() - startedAt < 3_500);
});

test("a key of several projects is told at once that none was named", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.wantsProject = true;
  await assert.rejects(open(), (error: unknown) => error instanceof Rejected && /cannot tell which .* No project is named/.test(error.message));
  await open({ projectId: "default" });
});

test("why no answer came is said once, in words", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.isAway = true;
  const said = await Promise.all(
    ["http://127.0.0.1:9", gateway.url.replace("http:", "https:"), gateway.url].map((baseUrl) =>
      open({ baseUrl }).then(
        () => "it opened",
        ({ message }: Error) => message,
      ),
    ),
  );
  assert.match(said[0], /no answer to GET \/v1\/bundle: connect ECONNREFUSED 127\.0\.0\.1:9; is it up/);
  assert.match(said[1], /speaks no TLS, expected an address with http:\/\/; is it up/);
  assert.match(said[2], /GET \/v1\/bundle: ECONNRESET: socket hang up; is it up/);
});

test("clients configured alike share one producer, which ends with the last of them", async (context) => {
  const { gateway, open } = await aPlace(context);
  const [one, other] = [await open({ agentId: "a" }), await open({ agentId: "b" })];
  one.guard({ tool: "search" });
  other.guard({ tool: "search" });
  assert.equal(one.producerId, other.producerId);
  await one.close();
  assert.ok(await other.flush());
  assert.equal(gateway.deliveries.some(({ headers }) => headers["cz-closed"] === "1"), false);
  assert.ok(await other.close());
  assert.equal(gateway.deliveries.at(-1)?.headers["cz-closed"], "1");
  assert.deepEqual(
    gateway.records("decision").map(({ agent_id }) => agent_id),
    ["a", "b"],
  );
});

test("a closed client says that nobody confirms its bundle, and can be opened anew", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.secrets = { openai: "sk-not-so-random" };
  const cz = await open({ secretsEnabled: true });
  cz.guard({ tool: "search" });
  await cz.close();
  gateway.putPolicy({ rules: [{ effect: "deny", action: "*" }] });
  assert.equal(cz.guard({ tool: "search" }).allowed, true);
  assert.ok(await cz.flush());
  await cz.initialize();
  assert.equal(cz.guard({ tool: "search" }).allowed, false);
  assert.equal(cz.getSecret("openai"), "sk-not-so-random");
  assert.ok(await cz.flush());
  assert.deepEqual(
    gateway.records("decision").map(({ bundle_state }) => bundle_state ?? null),
    [null, "unconfirmed", null],
  );
});

test("secrets are in memory, masked wherever they turn up, and gone at the end", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  gateway.secrets = { openai: "sk-not-so-random", "a b": '"quiet" word' };
  const cz = await open({ secretsEnabled: true });
  assert.equal(cz.getSecret("openai"), "sk-not-so-random");
  assert.throws(() => cz.getSecret("opena"), /did you mean `openai`/);
  cz.guard({ tool: "search", args: { key: "Bearer sk-not-so-random", quoted: 'a "quiet" word' }, text: "it is sk-not-so-random" });
  assert.ok(await cz.flush());
  const [record] = gateway.records("decision");
  assert.match((record.args as { key: string }).key, /^Bearer \[vault_secret:[a-p]{10}\]$/);
  assert.match(record.text as string, /^it is \[vault_secret:[a-p]{10}\]$/);
  assert.equal(JSON.stringify(record).includes("quiet"), false);
  assert.equal(written(spool).includes("sk-not-so-random"), false);
  await cz.close();
  assert.throws(() => cz.getSecret("openai"), /closed/);
});

test("no decision shows a secret that was in the call, and no print of one an argument's value", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.secrets = { openai: "sk-Not-so-random" };
  const cz = await open({ secretsEnabled: true });
  const decision = cz.guard({ tool: "shell", method: "sk-Not-so-random", args: { key: "sk-Not-so-random" } });
  assert.match(decision.resource ?? "", /^key\/\[vault_secret:[a-p]{10}\]$/);
  assert.match(decision.action, /^shell:\[vault_secret:[a-p]{10}\]$/);
  const error = await cz.enforce({ action: "shell.send", resource: "to/jane@example.com" }).catch((denied: unknown) => denied);
  const printed = [inspect(decision), inspect(error), inspect(decision, { customInspect: false }), inspect(error, { customInspect: false })];
  assert.equal(/not-so-random|jane@/i.test(printed.join()), false);
  assert.ok(error instanceof PolicyDeniedError && error.decision.resource === "to/jane@example.com");
});

test("the last client that holds secrets leaves none to the others", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.secrets = { word: "abracadabra" };
  const other = await open();
  const [one, two] = [await open({ secretsEnabled: true }), await open({ secretsEnabled: true })];
  await one.close();
  assert.equal(two.getSecret("word"), "abracadabra");
  other.guard({ tool: "search", text: "say abracadabra" });
  await two.close();
  other.guard({ tool: "search", text: "say abracadabra" }); // nobody knows any more that it was one
  assert.ok(await other.flush());
  const [before, after] = gateway.records("decision").map(({ text }) => text as string);
  assert.match(before, /^say \[vault_secret:/);
  assert.equal(after, "say abracadabra");
});

test("a client without secrets says how to have them, a key without their scope is refused", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  assert.throws(() => cz.getSecret("openai"), /secretsEnabled: true/);
  gateway.secrets = null;
  await assert.rejects(open({ secretsEnabled: true }), /secrets:read/);
});

test("a policy file is judged by without a server, and nothing personal rests in its spool", async (context) => {
  const spool = folder(context);
  const policyFile = join(folder(context), "mine.json");
  writeFileSync(policyFile, JSON.stringify({ rules: [...RULES.slice(0, 1), { effect: "allow", action: "*", conditions: { contact: "*@example.com" } }] }));
  const cz = new ControlZero({ policyFile, spool });
  await cz.initialize();
  const call = { tool: "mail", method: "send", args: { to: "bob@example.com", card: 4111111111111111 }, text: "call +1 415 555 0132" };
  const decision = cz.guard({ ...call, userId: "ann@example.com", context: { contact: "jane@example.com" }, tags: { "eve@example.com": 1 } });
  assert.deepEqual([decision.allowed, decision.ruleId, cz.mode, cz.projectId], [true, "mine#2", "enforce", "default"]);
  assert.equal(await cz.close(), false, "it waits for a server");
  const kept = written(spool);
  assert.match(kept, /\[email:[a-p]{10}\]/);
  for (const raw of ["@example.com", "4111111111111111", "555 0132"]) assert.equal(kept.includes(raw), false, raw);
  assert.ok(files(spool).some((path) => path.endsWith("/end")));
});

test("a bundle in a file is judged by with its key beside it, and an older file is refused afterwards", async (context) => {
  const [spool, home, signer] = [folder(context), folder(context), aSigner()];
  const policyFile = join(home, "p.czpolicy");
  const put = (version: number) => writeFileSync(policyFile, czpolicyOf({ version, policies: [{ name: "p", rules: RULES }] }, signer));
  const open = async () => {
    const cz = new ControlZero({ policyFile, spool });
    await cz.initialize();
    return cz;
  };
  const isAllowed = async (cz: ControlZero) => {
    const { allowed } = cz.guard({ tool: "shell", method: "run" });
    await cz.close();
    return allowed;
  };
  put(2);
  await assert.rejects(open(), /no key to verify it with/);
  writeFileSync(join(home, "p.pub"), keyText(signer));
  assert.equal(await isAllowed(await open()), false);
  put(1);
  await assert.rejects(open(), /versions only rise/);
});

test("every problem of the settings, and of a policy, is told at once", async (context) => {
  assert.throws(
    () => new ControlZero({ mode: "strict", baseUrl: "ftp://x", spoolBytesMax: 5, baseURL: "http://x" } as never),
    (error: unknown) => error instanceof Rejected && ["unknown option `baseURL`: did you mean `baseUrl`?", "nothing to judge by", "mode `strict`", "base URL `ftp://x`", "spool limit `5`"].every((each) => error.message.includes(each)),
  );
  assert.throws(
    () => new ControlZero({ apiKey: "cz_live_secret\n" }),
    (error: unknown) => error instanceof Rejected && /API key .* a line break .*`cz keys create`/.test(error.message) && !error.message.includes("secret"),
  );
  assert.throws(() => new ControlZero({ apiKey: null as never }), /nothing to judge by/);
  const home = folder(context);
  const policyFile = join(home, "bad.json");
  writeFileSync(policyFile, JSON.stringify({ rules: [{ efect: "deny", action: "a" }] }));
  await assert.rejects(
    new ControlZero({ policyFile, spool: home }).initialize(),
    (error: unknown) => error instanceof PolicyError && error.policy === "bad" && error.problems.length === 2,
  );
  writeFileSync(join(home, "p.yaml"), "rules: []");
  await assert.rejects(new ControlZero({ policyFile: join(home, "p.yaml"), spool: home }).initialize(), /YAML; this SDK reads JSON/);
  await assert.rejects(new ControlZero({ policyFile: home, spool: home, projectId: "../p" }).initialize(), Rejected);
});

test("before initialize() a call says what is missing", () => {
  const cz = new ControlZero({ apiKey: API_KEY });
  assert.throws(() => cz.guard({ tool: "search" }), /await initialize\(\) first/);
});

test("where nothing can be written it records in memory and the host goes on", async (context) => {
  const { gateway, open } = await aPlace(context);
  const home = folder(context);
  writeFileSync(join(home, "file"), "");
  temporaryFilesIn(context, join(home, "file", "tmp"));
  const cz = await open({ spool: join(home, "file", "spool") });
  assert.equal(cz.guard({ tool: "search" }).isRecorded, true);
  assert.ok(await cz.close());
  assert.equal(gateway.records("decision").length, 1);
  assert.equal(gateway.deliveries.at(-1)?.headers["cz-closed"], "1");
});

test("a program ends by itself, and what it recorded has arrived by then, in order", async (context) => {
  const { gateway, spool } = await aPlace(context);
  const done = await program(context, { gateway, spool }, 'cz.guard({ tool: "search" }); cz.guard({ tool: "shell", method: "run" });');
  assert.deepEqual([done.status, done.stderr], [0, ""]);
  assert.deepEqual(
    gateway.records().map(({ kind }) => kind),
    ["decision", "decision", "outcome"],
  );
  assert.equal(gateway.deliveries.at(-1)?.headers["cz-closed"], "1");
  assert.deepEqual(files(spool).filter((path) => path.endsWith(".records")), []);
});

for (const [how, body, status] of [
  ["by process.exit()", 'cz.guard({ tool: "search" }); process.exit(3);', 3],
  ["by an error that nobody caught", 'cz.guard({ tool: "search" }); throw new Error("no");', 1],
  ["by a denial that nobody caught", 'await cz.enforce({ action: "shell.run" });', 1],
] as const) {
  test(`a program that ends at once, ${how}, has delivered by then, in order`, async (context) => {
    const { gateway, spool } = await aPlace(context);
    assert.equal((await program(context, { gateway, spool }, body)).status, status);
    assert.equal(gateway.records("decision").length, 1);
    assert.equal(gateway.deliveries.at(-1)?.headers["cz-closed"], "1");
    assert.deepEqual(files(spool).filter((path) => path.endsWith(".records")), []);
  });
}

test("a program that ends at once waits no longer for its gateway than another", async (context) => {
  const { gateway, spool } = await aPlace(context);
  gateway.answers.push(NO_ANSWER);
  const startedAt = performance.now();
  const done = await program(context, { gateway, spool }, 'cz.guard({ tool: "search" }); process.exit(3);');
  assert.equal(done.status, 3);
  assert.equal(gateway.answers.length, 0, "it was asked");
  assert.ok(performance.now() - startedAt < 9_000, "an answer is waited for for ten seconds");
});

test("what a program could not bring at its end is brought by the next, and its end with it", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  gateway.answers.push(503);
  const done = await program(context, { gateway, spool }, 'cz.guard({ tool: "search" }); process.exit(3);');
  assert.equal(done.status, 3);
  assert.equal(gateway.records().length, 0);
  const cz = await open();
  cz.guard({ tool: "last" });
  await until(() => gateway.records("decision").length === 2);
  assert.equal(gateway.deliveries.find(({ headers }) => headers["cz-producer"] !== cz.producerId)?.headers["cz-closed"], "1");
});

test("short programs bring what others left, and nothing twice", async (context) => {
  const { gateway, spool } = await aPlace(context);
  for (let each = 0; each < 3; each++) {
    gateway.answers.push(503);
    await program(context, { gateway, spool }, 'cz.guard({ tool: "left" }); process.exit(3);');
  }
  const left = () => gateway.records("decision").filter(({ tool }) => tool === "left");
  for (let run = 0; run < 4; run++) await program(context, { gateway, spool }, 'cz.guard({ tool: "search" });');
  assert.equal(left().length, 3);
  const producers = gateway.deliveries.filter(({ headers }) => headers["cz-closed"] === "1").map(({ headers }) => headers["cz-producer"]);
  assert.equal(producers.length, 3 + 4);
  assert.equal(new Set(producers).size, producers.length);
  assert.deepEqual(files(spool).filter((path) => path.endsWith(".records")), []);
});
