/** What a policy file or a bundle in a file says. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, parse as parsePath } from "node:path";
import type { Bundle } from "./bundle.js";
import { BundleVerificationError, PolicyError, Rejected } from "./errors.js";
import type { Governed } from "./guarding.js";
import { Kept } from "./kept.js";
import { Masking } from "./masking.js";
import { offlineKey } from "./offline-key.js";
import { canonical } from "./policy/canonical.js";
import { CompiledPolicy } from "./policy/evaluate.js";
import { parseAll, parseText } from "./policy/parse.js";
import { asWritten } from "./policy/written.js";
import { LOCAL_PROJECT, type Settings } from "./settings.js";
import { Told } from "./told.js";
import { admit, parseKeyList } from "./trust.js";
import type { Vault } from "./vault.js";

const BUNDLE_SUFFIX = ".czpolicy";
const SUFFIXES = [".json", ".yaml", ".yml", BUNDLE_SUFFIX];

/** Return what a policy file says, or a bundle. Throws `PolicyError` with all its problems, `Rejected` where there is none, `Tampered`. */
export function governedByFile(settings: Settings, vault: Vault): Governed {
  const path = policyPath(settings);
  if (path.endsWith(BUNDLE_SUFFIX)) return governedByBundle(path, settings, vault);
  if (/\.ya?ml$/.test(path)) {
    throw new PolicyError(parsePath(path).name, [{ path: "", message: "a policy in YAML; this SDK reads JSON, in which the same policy can be written" }]);
  }
  const policy = parseText(readFileSync(path, "utf-8"), parsePath(path).name);
  const projectId = settings.projectId ?? LOCAL_PROJECT;
  return {
    compiled: new CompiledPolicy([policy]),
    masking: new Masking(offlineKey(settings.spool, projectId, new Told()), vault),
    projectId,
    mode: settings.mode ?? "enforce",
    bundleDigest: createHash("sha256").update(canonical([asWritten(policy)])).digest("hex"),
    bundleState: null,
    expiresAt: null,
    onStale: "keep",
    onUnrecordable: "go_on",
    orders: [],
  };
}

/** Return what a client judges by under a bundle. */
export function governedBy(bundle: Bundle, masking: Masking): Governed {
  return {
    compiled: new CompiledPolicy(parseAll(bundle.policies), { reads: bundle.reads }),
    masking,
    projectId: bundle.projectId,
    mode: bundle.mode,
    bundleDigest: bundle.digest,
    bundleState: null,
    expiresAt: bundle.expiresAt,
    onStale: bundle.onStale,
    onUnrecordable: bundle.onUnrecordable,
    orders: [],
  };
}

/**
 * Return what the bundle in a file says, if it may be taken after the last one. Throws `Tampered`.
 *
 * The keys to verify it with are those of the bundle before, those configured, else, at first use, those of the `.pub` file
 * beside it.
 */
function governedByBundle(path: string, settings: Settings, vault: Vault): Governed {
  const [kept, told] = [new Kept(settings), new Told()];
  const beside = `${path.slice(0, -BUNDLE_SUFFIX.length)}.pub`;
  const offered = parseKeyList(existsSync(beside) ? readFileSync(beside, "utf-8") : "");
  const known = kept.readTrust();
  if (known === null && settings.signingKey === null && offered.keys.size === 0) {
    throw new BundleVerificationError(
      `bundle \`${path}\`: no key to verify it with; put its \`${parsePath(beside).base}\` beside it, or set CONTROLZERO_SIGNING_KEY to ` +
        "the line of `signing.pub`",
    );
  }
  const configured = parseKeyList(settings.signingKey ?? "").keys;
  const { bundle, trust } = admit(readFileSync(path), offered, known, { configured, projectId: settings.projectId });
  try {
    kept.keep(null, trust, 0);
  } catch (error) {
    told.say(`The bundle's version cannot be kept on disk, so an older file could pass for newer after this run: ${(error as Error).message}.`);
  }
  return governedBy(bundle, new Masking(offlineKey(settings.spool, bundle.projectId, told), vault));
}

/** Return the policy file, in a folder the one named after the project. Throws `Rejected` where it is not there. */
function policyPath({ policyFile, projectId }: Settings): string {
  const given = policyFile as string;
  if (!existsSync(given)) {
    throw new Rejected(`policy file \`${given}\`: there is none; expected a policy in JSON, a .czpolicy bundle, or a folder with one per project`);
  }
  if (!statSync(given).isDirectory()) return given;
  if (projectId === null) {
    throw new Rejected(`policy folder \`${given}\`: which project? Expected CONTROLZERO_PROJECT_ID, whose policy is \`<project id>.json\``);
  }
  const path = SUFFIXES.map((suffix) => join(given, `${projectId}${suffix}`)).find((each) => dirname(each) === given && existsSync(each));
  if (path !== undefined) return path;
  const there = readdirSync(given).filter((name) => SUFFIXES.some((suffix) => name.endsWith(suffix)));
  throw new Rejected(`policy folder \`${given}\`: no \`${projectId}.json\`; there is ${there.sort().join(", ") || "none"}`);
}
