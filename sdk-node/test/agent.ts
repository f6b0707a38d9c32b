/**
 * An agent that does what it is told: a line of JSON in, `{"do": "guard", "with": {…}}`; one out, what came of it.
 *
 * It is given the SDK as a user has it: by the package's name.
 */

import { openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { ControlZero, PolicyDeniedError, type PolicyDecision } from "@controlzero/sdk";

const cz = new ControlZero(JSON.parse(process.argv[2] ?? "{}") as object);
await cz.initialize();
say("ready");

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as { do: string; with: never };
  say(await done(asked.do, asked.with));
}

async function done(what: string, given: never): Promise<unknown> {
  switch (what) {
    case "guard":
      return told(cz.guard(given));
    case "guard without looking":
      cz.guard(given);
      return "unread";
    case "enforce":
      try {
        return told(await cz.enforce(given));
      } catch (error) {
        if (!(error instanceof PolicyDeniedError)) throw error;
        return { ...told(error.decision), denied: error.message };
      }
    case "guarded":
      return await cz.guarded(given, () => "carried out").catch((error: Error) => error.name);
    case "many": {
      const { count, ...call } = given as { count: number; tool: string };
      for (let each = 0; each < count; each++) cz.guard({ ...call, args: { each } });
      return count;
    }
    case "until killed": {
      const told = openSync(given, "a");
      for (;;) {
        for (let each = 0; each < 5; each++) {
          const { isRecorded, decisionId } = cz.guard({ tool: "search", args: { to: "jane@example.com", each } });
          if (isRecorded) writeSync(told, `${decisionId}\n`);
        }
        await delay(1);
      }
    }
    case "mode":
      return cz.mode;
    case "secret":
      return cz.getSecret(given);
    case "producer":
      return cz.producerId;
    case "flush":
      return await cz.flush();
    case "close":
      return await cz.close();
    default:
      throw new Error(`an agent cannot ${what}`);
  }
}

function told({ decisionId, allowed, effect, verdict, mode, reason, reasonCode, resource, ruleId, isRecorded }: PolicyDecision): object {
  return { decisionId, allowed, effect, verdict, mode, reason, reasonCode, resource, ruleId, isRecorded };
}

function say(answer: unknown): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
