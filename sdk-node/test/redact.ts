/** Redacts what another SDK redacts, to compare them: a line of JSON in, `{"text"}` or `{"value"}`; one out, what it became and its receipts. */

import { createInterface } from "node:readline";
import { type JsonObject, asJson } from "../src/json.js";
import { Masks, redactJson, redactText } from "../src/pii/redact.js";

const masks = new Masks(Buffer.from("a key for tests, never for data!"));

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as { text?: string; value?: unknown };
  const masked =
    asked.text === undefined ? redactJson(asJson(asked.value) as JsonObject, masks, "args") : redactText(asked.text, masks, "text");
  process.stdout.write(`${JSON.stringify(["text" in masked ? masked.text : masked.value, masked.receipts])}\n`);
}
