/** The end of a program that ends at once, and waits for nothing but a thread: that delivers what the program's spools still hold. */

import { existsSync } from "node:fs";
import { Worker, isMainThread } from "node:worker_threads";
import type { Destination } from "./folders.js";

/** Spools that nobody holds any more, and who takes what is in them. */
export interface Left {
  readonly destination: Destination;
  readonly roots: readonly string[];
  readonly apiKey: string;
}

/** What the thread is given: the spools, how long it has, and where it says that it is done. */
export interface Leaving {
  readonly left: readonly Left[];
  readonly timeoutS: number;
  readonly done: Int32Array;
}

/** Have a thread deliver what is left, and wait for it without an event loop. What it does not bring waits for the next process. */
export function deliverLeft(left: readonly Left[], timeoutS: number): void {
  if (left.length === 0 || !isMainThread) return;
  const done = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  try {
    const thread = new URL("./leaving-thread.js", import.meta.url);
    if (!existsSync(thread)) return; // a host that bundles its modules has no such file, or does not even know where it is
    // Nothing of the host is loaded into it, and it writes nothing on the host's terminal.
    new Worker(thread, { workerData: { left, timeoutS, done } satisfies Leaving, env: {}, execArgv: [], stdout: true, stderr: true });
  } catch {
    return; // a host that allows no threads: recording never throws into it
  }
  Atomics.wait(done, 0, 0, timeoutS * 1000);
}
