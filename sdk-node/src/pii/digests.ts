/** Keyed digests: what stands for a value that must not be kept. */

import { createHmac } from "node:crypto";

const MAC_HEX = 32; // 128 bits: two values of one project meet with probability 2^-64 after 2^32 of them
const TOKEN_LETTERS = 10; // 40 bits in a mask: enough to tell a project's people apart, short enough to read

/** Compute the digest of arguments in canonical JSON, before anything in them is masked. */
export function argsDigest(key: Uint8Array, canonicalArgs: string): string {
  return mac(key, `args\0${canonicalArgs}`);
}

/** Compute what stands for a value: the same for every spelling of it, within one project. */
export function fingerprint(key: Uint8Array, type: string, value: string): string {
  return mac(key, `${type}\0${value}`);
}

/** Write the head of a mac as letters a to p, as masks show it: no digits, so that a mask looks like nothing found. */
export function token(macHex: string): string {
  return macHex.slice(0, TOKEN_LETTERS).replace(/./g, (digit) => "abcdefghijklmnop"[parseInt(digit, 16)]);
}

function mac(key: Uint8Array, data: string): string {
  return createHmac("sha256", key).update(data).digest("hex").slice(0, MAC_HEX);
}
