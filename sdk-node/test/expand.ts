/** Reads zstd frames that another encoder wrote: a line of base64 in; one out, what it holds in base64, or why it holds nothing. */

import { createInterface } from "node:readline";
import { CorruptFrame, decompress } from "../src/zstd.js";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(expanded(Buffer.from(JSON.parse(line) as string, "base64")))}\n`);
}

function expanded(frame: Buffer): unknown {
  try {
    return Buffer.from(decompress(frame, { bytesMax: 1 << 25 })).toString("base64");
  } catch (error) {
    if (!(error instanceof CorruptFrame)) throw error;
    return { corrupt: error.message };
  }
}
