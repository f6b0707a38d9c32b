/** A program of a user: a process of its own, which this one answers as the gateway. */

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { API_KEY, type GatewayDouble } from "./gateway-double.js";
import { folder } from "./places.js";

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run a program that has a client `cz`; `wrapped` is a command that runs it in its place, such as one that limits it. */
export async function program(
  context: TestContext,
  { gateway, spool, wrapped = [] }: { gateway: GatewayDouble; spool: string; wrapped?: readonly string[] },
  body: string,
): Promise<Ended> {
  const path = join(folder(context), "program.mjs");
  const sdk = new URL("../src/index.js", import.meta.url).href;
  const options = JSON.stringify({ apiKey: API_KEY, baseUrl: gateway.url, spool });
  writeFileSync(path, `import { ControlZero } from ${JSON.stringify(sdk)};\nconst cz = new ControlZero(${options});\nawait cz.initialize();\n${body}\n`);
  const [command, ...others] = [...wrapped, process.execPath, path];
  const child = spawn(command, others, { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (chunk: Buffer) => (said[name] += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, ...said };
}
