/**
 * Which bundle a client takes: whose keys it trusts, and from which version on. Free of I/O; `kept` holds what is known.
 *
 * A client trusts the keys that signed the last bundle it took, and those that they endorse, directly or in a chain. Before
 * its first bundle it trusts the keys it is configured with; without any, those that come with that bundle: first use.
 * Versions of a project only rise, and what is known of them outlives the bundle kept on disk.
 */

import { CANDIDATE_VERSION, type Bundle, isSigned, parseKeys, signersOf, verify } from "./bundle.js";
import { BundleRollbackError, BundleVerificationError } from "./errors.js";

const KEYS_MAX = 64; // of a list: a key a month for five years
const ENDORSED = Buffer.from("controlzero signing key\n"); // before what is signed: no bundle begins like this

export type Keys = ReadonlyMap<string, Buffer>;

/** What one key says of the next: that it signs from now on. */
interface Endorsement {
  readonly by: string;
  readonly keyId: string;
  readonly sig: Buffer;
}

/** Public keys by their ids, the newest first, and what they say of one another. */
export interface KeyList {
  readonly keys: Keys;
  readonly endorsements: readonly Endorsement[];
}

/** What a client knows of a project's bundles: the last one it took, and the keys that signed that. */
export interface Trust {
  readonly projectId: string;
  readonly version: number;
  readonly digest: string;
  readonly keys: Keys;
}

/**
 * Return the bundle in `czpolicy`, if it may be taken after `trust`, and the trust that follows from it.
 *
 * `offered` are the keys that came with it, `configured` those a person gave, `projectId` whose it has to be where that is
 * known. Throws `BundleTamperError`, `BundleVerificationError`, `BundleRollbackError`.
 */
export function admit(
  czpolicy: Uint8Array,
  offered: KeyList,
  trust: Trust | null,
  { configured = new Map(), projectId = null }: { configured?: Keys; projectId?: string | null } = {},
): { bundle: Bundle; trust: Trust } {
  const keys = trustedKeys(new Map([...configured, ...(trust?.keys ?? [])]), offered);
  const bundle = verify(czpolicy, keys);
  const about = `bundle of project \`${bundle.projectId}\``;
  const wanted = trust?.projectId ?? projectId;
  if (wanted !== null && bundle.projectId !== wanted) {
    throw new BundleVerificationError(`bundle: it is for project \`${bundle.projectId}\`, expected \`${wanted}\`; check CONTROLZERO_PROJECT_ID, the API key and the file`);
  }
  if (bundle.version <= CANDIDATE_VERSION) throw new BundleRollbackError(`${about}: a candidate (version ${bundle.version}) cannot be in force`);
  if (trust !== null && (bundle.version < trust.version || (bundle.version === trust.version && bundle.digest !== trust.digest))) {
    throw new BundleRollbackError(
      `${about}: version ${bundle.version} offered after version ${trust.version} was taken; versions only rise, so find out who changed ` +
        "the server's data, or apply the policy again until its version is higher",
    );
  }
  const signedBy = new Map(signersOf(czpolicy).flatMap((id) => (keys.has(id) ? [[id, keys.get(id) as Buffer]] : [])));
  return { bundle, trust: { projectId: bundle.projectId, version: bundle.version, digest: bundle.digest, keys: signedBy } };
}

/** Return the keys that `pinned` ones vouch for, themselves first; without any pinned all that are offered: first use. */
function trustedKeys(pinned: Keys, offered: KeyList): Keys {
  if (pinned.size === 0) return offered.keys;
  const found = new Map(pinned);
  let waiting = offered.endorsements;
  for (;;) {
    const known = new Map(found);
    const holding = waiting.filter(({ by }) => known.has(by));
    if (holding.length === 0) return found;
    waiting = waiting.filter(({ by }) => !known.has(by));
    for (const { by, keyId, sig } of holding) {
      const key = offered.keys.get(keyId);
      if (key !== undefined && isSigned(Buffer.concat([ENDORSED, key]), sig, known.get(by) as Buffer)) found.set(keyId, key);
    }
  }
}

/** Return the key list of lines, or of headers with commas. Throws `BundleVerificationError` for what is none. */
export function parseKeyList(text: string): KeyList {
  const lines = text.split(/[,\n]/).flatMap((line) => line.trim() || []);
  if (lines.length > 2 * KEYS_MAX) throw new BundleVerificationError(`signing keys: ${lines.length} lines, expected at most ${2 * KEYS_MAX}`);
  return {
    keys: parseKeys(lines.filter((line) => !line.includes(">")).join("\n")),
    endorsements: lines.filter((line) => line.includes(">")).map(endorsement),
  };
}

function endorsement(line: string): Endorsement {
  const [names, encoded = ""] = line.split(/:(.*)/s);
  const [by, keyId = ""] = names.split(">");
  const sig = Buffer.from(encoded, "base64");
  if (sig.toString("base64") !== encoded) throw new BundleVerificationError(`signing key \`${keyId}\`: its endorsement by \`${by}\` is not base64`);
  return { by, keyId, sig };
}
