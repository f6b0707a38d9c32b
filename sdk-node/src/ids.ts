/** UUIDv7 texts (RFC 9562), in the order of their microseconds: what is random is drawn from the kernel by the hundred. */

import { randomBytes } from "node:crypto";

const POOL_IDS = 256;
const BYTES_PER_ID = 8;

let pool = Buffer.alloc(0);

/** Return a new id whose time is `at`, in microseconds since 1970 UTC. */
export function newId(at: number): string {
  if (pool.length === 0) pool = randomBytes(POOL_IDS * BYTES_PER_ID);
  const random = pool.subarray(0, BYTES_PER_ID).toString("hex");
  pool = pool.subarray(BYTES_PER_ID);
  const time = hex(at / 1000, 12);
  const ofMillisecond = hex(((at % 1000) * 4096) / 1000, 3); // method 3 of the RFC's 6.2: 12 bits of time for 12 random ones
  const variant = "89ab"[parseInt(random[0], 16) & 3];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${ofMillisecond}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
}

/** Return the time a UUIDv7 text carries, in microseconds since 1970 UTC (milliseconds exactly). */
export function idTime(uuid7: string): number {
  return parseInt(uuid7.slice(0, 8) + uuid7.slice(9, 13), 16) * 1000;
}

function hex(amount: number, digits: number): string {
  return Math.floor(amount).toString(16).padStart(digits, "0");
}
