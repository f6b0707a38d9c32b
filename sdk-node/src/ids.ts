/** UUIDv7 texts (RFC 9562): random parts are drawn from the kernel by the hundred. */

import { randomBytes } from "node:crypto";

const POOL_IDS = 256;
const BYTES_PER_ID = 10;

let pool = Buffer.alloc(0);

/** Return a new id whose time is `at`, in microseconds since 1970 UTC. */
export function newId(at: number): string {
  if (pool.length === 0) pool = randomBytes(POOL_IDS * BYTES_PER_ID);
  const random = pool.subarray(0, BYTES_PER_ID).toString("hex");
  pool = pool.subarray(BYTES_PER_ID);
  const time = Math.floor(at / 1000)
    .toString(16)
    .padStart(12, "0");
  const variant = "89ab"[parseInt(random[3], 16) & 3];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

/** Return the time a UUIDv7 text carries, in microseconds since 1970 UTC (milliseconds exactly). */
export function idTime(uuid7: string): number {
  return parseInt(uuid7.slice(0, 8) + uuid7.slice(9, 13), 16) * 1000;
}
