/**
 * Bundles: a project's policies and settings, signed, versioned and carried as `.czpolicy` bytes.
 *
 *     .czpolicy = zstd frame of {"payload": "<canonical JSON>", "signatures": [{"key_id", "sig"}]}
 *                 then a zstd skippable frame holding the SHA-256 of all bytes before it
 *
 * The signature covers the payload's text as it stands (RFC 8785), so verifying needs no second encoding.
 */

import { createHash, createPublicKey, verify as isSignedBy, timingSafeEqual } from "node:crypto";
import { BundleTamperError, BundleVerificationError } from "./errors.js";
import { type Json, type JsonObject, asJson, isObject } from "./json.js";
import { canonical } from "./policy/canonical.js";
import { MODES, type Mode } from "./records.js";
import { CorruptFrame, decompress } from "./zstd.js";

// Limits. A bundle is held in memory by every agent.
const CZPOLICY_BYTES_MAX = 4 * 1024 * 1024; // a file: some 100,000 rules compress to less
const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024; // expanded, so that a small file cannot fill an agent's memory
const SIGNATURES_MAX = 8; // a key and those it was rotated from
export const CANDIDATE_VERSION = 0; // a candidate's bundle is never active: no client takes version 0

const FORMAT = "czpolicy/1";
const TRAILER_HEAD = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 32, 0, 0, 0]); // skippable frame 0, 32 bytes long
const TRAILER_BYTES = TRAILER_HEAD.length + 32;
const PUBLIC_KEY_BYTES = 32;
const PUBLIC_KEY_HEAD = Buffer.from("302a300506032b6570032100", "hex"); // SubjectPublicKeyInfo of Ed25519 (RFC 8410), before the key
const FIELDS = [
  "expires_at",
  "format",
  "issued_at",
  "mode",
  "on_stale",
  "on_unrecordable",
  "policies",
  "policy_digest",
  "project_id",
  "reads",
  "version",
];

/** What judges a project's actions. Times are microseconds since 1970 UTC; `digest` is the bundle's identity. */
export interface Bundle {
  readonly projectId: string;
  readonly version: number;
  readonly issuedAt: number;
  readonly expiresAt: number | null;
  readonly mode: Mode;
  readonly onStale: "keep" | "deny";
  readonly onUnrecordable: "go_on" | "deny";
  readonly policies: readonly Json[];
  readonly reads: readonly string[];
  readonly digest: string;
}

interface Signature {
  readonly keyId: string;
  readonly sig: Buffer;
}

/**
 * Return the bundle in `czpolicy` if a key of `trusted` (key id to its 32 public bytes) signed it.
 *
 * Throws `BundleTamperError` where the bytes were changed or are no bundle, `BundleVerificationError` where they are
 * whole and no trusted key signed them. Does not look at the clock.
 */
export function verify(czpolicy: Uint8Array, trusted: ReadonlyMap<string, Buffer>): Bundle {
  const { payload, signatures } = opened(Buffer.from(czpolicy));
  checkSignatures(Buffer.from(payload), signatures, trusted);
  return bundleOf(payload);
}

/** Return the ids of the keys that a file says it is signed by; only `verify` tells whether it is. Throws `BundleTamperError`. */
export function signersOf(czpolicy: Uint8Array): string[] {
  return opened(Buffer.from(czpolicy)).signatures.map(({ keyId }) => keyId);
}

/** Say whether the private half of a public key (32 bytes) signed a message. */
export function isSigned(message: Buffer, sig: Buffer, publicKey: Buffer): boolean {
  const key = createPublicKey({ key: Buffer.concat([PUBLIC_KEY_HEAD, publicKey]), format: "der", type: "spki" });
  return isSignedBy(null, message, key, sig);
}

/** Return public keys by their ids, from `<key id>:<base64>` in lines or a header with commas. Throws `BundleVerificationError`. */
export function parseKeys(text: string): Map<string, Buffer> {
  return new Map(
    text
      .split(/[,\n]/)
      .map((each) => each.trim())
      .filter((each) => each !== "")
      .map(parseKey),
  );
}

function parseKey(text: string): [string, Buffer] {
  const [name, encoded = ""] = text.split(/:(.*)/s);
  const key = Buffer.from(encoded, "base64");
  if (key.length !== PUBLIC_KEY_BYTES || key.toString("base64") !== encoded || sha256(key).toString("hex").slice(0, 16) !== name) {
    throw new BundleVerificationError(`signing key \`${name}\`: not the key its id names, expected \`<key id>:<base64 of 32 bytes>\``);
  }
  return [name, key];
}

function opened(czpolicy: Buffer): { payload: string; signatures: Signature[] } {
  if (czpolicy.length > CZPOLICY_BYTES_MAX) {
    throw new BundleTamperError(`bundle: ${czpolicy.length} bytes, expected at most ${CZPOLICY_BYTES_MAX}`);
  }
  const frame = czpolicy.subarray(0, Math.max(0, czpolicy.length - TRAILER_BYTES));
  const trailer = czpolicy.subarray(frame.length);
  const wanted = Buffer.concat([TRAILER_HEAD, sha256(frame)]);
  if (!trailer.subarray(0, TRAILER_HEAD.length).equals(TRAILER_HEAD)) {
    throw new BundleTamperError(
      "bundle: not a .czpolicy file, or one whose end is missing; expected one from `cz policy export`, `cz bundle sign` or GET /v1/bundle",
    );
  }
  if (trailer.length !== wanted.length || !timingSafeEqual(trailer, wanted)) {
    throw new BundleTamperError("bundle: its bytes were changed after signing (checksum differs); fetch it again, and find out by whom");
  }
  try {
    return envelope(JSON.parse(text(decompress(frame, { bytesMax: PAYLOAD_BYTES_MAX }))));
  } catch (error) {
    if (!(error instanceof CorruptFrame || error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw new BundleTamperError(
      `bundle: not a .czpolicy file: ${error.message}; expected one from \`cz policy export\` or GET /v1/bundle`,
      { cause: error },
    );
  }
}

function envelope(value: unknown): { payload: string; signatures: Signature[] } {
  const said = asJson(value);
  if (!isObject(said) || typeof said.payload !== "string" || !Array.isArray(said.signatures)) throw new TypeError("no payload or signatures");
  return { payload: said.payload, signatures: said.signatures.map(signature) };
}

function signature(value: Json): Signature {
  if (!isObject(value) || typeof value.key_id !== "string" || typeof value.sig !== "string") throw new TypeError("a signature without key or text");
  const sig = Buffer.from(value.sig, "base64");
  if (sig.toString("base64") !== value.sig) throw new TypeError("a signature that is not base64");
  return { keyId: value.key_id, sig };
}

function checkSignatures(payload: Buffer, signatures: readonly Signature[], trusted: ReadonlyMap<string, Buffer>): void {
  if (signatures.length > SIGNATURES_MAX) {
    throw new BundleTamperError(`bundle: ${signatures.length} signatures, expected at most ${SIGNATURES_MAX}`);
  }
  const known = signatures.filter(({ keyId }) => trusted.has(keyId));
  if (known.length === 0) {
    const signers = signatures.map(({ keyId }) => keyId).join(", ") || "nobody";
    throw new BundleVerificationError(`bundle: signed by ${signers}, expected one of ${[...trusted.keys()].join(", ") || "no key (none is trusted)"}`);
  }
  for (const { keyId, sig } of known) {
    if (!isSigned(payload, sig, trusted.get(keyId) as Buffer)) {
      throw new BundleVerificationError(`bundle: the signature of key ${keyId} does not fit; do not load it`);
    }
  }
}

function bundleOf(payload: string): Bundle {
  const said = payloadOf(payload);
  const { version, issued_at: issuedAt, expires_at: expiresAt, mode, on_stale: onStale, on_unrecordable: onUnrecordable } = said;
  const isKnown =
    Object.keys(said).sort().join() === FIELDS.join() &&
    said.format === FORMAT &&
    [version, issuedAt, expiresAt ?? 0].every(Number.isInteger) &&
    MODES.includes(mode as Mode) &&
    ["keep", "deny"].includes(onStale as string) &&
    ["go_on", "deny"].includes(onUnrecordable as string) &&
    typeof said.project_id === "string" &&
    Array.isArray(said.policies) &&
    Array.isArray(said.reads) &&
    said.reads.every((key) => typeof key === "string");
  if (!isKnown) throw new BundleTamperError("bundle: the signed payload is none this version can read; update @controlzero/sdk");
  if (canonical(said) !== payload) {
    throw new BundleTamperError("bundle: the signed payload is not canonical JSON (RFC 8785), so its digest would differ; sign it again");
  }
  return {
    projectId: said.project_id as string,
    version: version as number,
    issuedAt: issuedAt as number,
    expiresAt: expiresAt as number | null,
    mode: mode as Mode,
    onStale: onStale as Bundle["onStale"],
    onUnrecordable: onUnrecordable as Bundle["onUnrecordable"],
    policies: said.policies as Json[],
    reads: said.reads as string[],
    digest: sha256(Buffer.from(payload)).toString("hex"),
  };
}

function payloadOf(payload: string): JsonObject {
  try {
    const said = asJson(JSON.parse(payload));
    if (isObject(said)) return said;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new BundleTamperError("bundle: the signed payload is no JSON object; sign it again");
}

/** Read UTF-8 strictly. Throws TypeError for bytes that are none. */
function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
