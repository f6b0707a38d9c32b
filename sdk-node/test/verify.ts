/** Verifies what another SDK signed, to compare them: a line of JSON in, `{"czpolicy", "keys"}`; one out, the bundle or the error. */

import { createInterface } from "node:readline";
import { parseKeys, verify } from "../src/bundle.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { czpolicy, keys } = JSON.parse(line) as { czpolicy: string; keys: string };
  process.stdout.write(`${JSON.stringify(answer(Buffer.from(czpolicy, "base64"), keys))}\n`);
}

function answer(czpolicy: Buffer, keys: string): unknown {
  try {
    return verify(czpolicy, parseKeys(keys));
  } catch (error) {
    return { error: (error as Error).name, message: (error as Error).message };
  }
}
