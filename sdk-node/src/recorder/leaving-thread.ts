/** The thread that a program waits for at its end: delivers what is left of it, and of others that are gone. */

import { workerData } from "node:worker_threads";
import { HttpLink } from "../link.js";
import type { Leaving } from "./leaving.js";
import { Sender } from "./sender.js";

const { left, timeoutS, done } = workerData as Leaving;
setTimeout(() => undefined, timeoutS * 1000); // waiting for an answer keeps no thread alive
try {
  for (const { destination, roots, apiKey } of left) {
    await new Sender(new HttpLink(destination.baseUrl as string, apiKey), destination, roots).adopt();
  }
} finally {
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
}
