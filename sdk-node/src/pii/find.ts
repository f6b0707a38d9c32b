/** Find personal data and secrets: each detector's pattern, then the check of what it proposes. */

import type { Check, Found } from "./checks.js";
import { checkAwsId, checkAwsSecret, checkBedrockKey, checkJwt, checkPrivateKey, checkVaried, findJwts } from "./credentials.js";
import { checkEmail, checkIpv4, checkIpv6, findEmails } from "./internet.js";
import {
  checkIban,
  checkPaymentCard,
  checkPhoneInternational,
  checkPhoneNamed,
  checkPhoneNational,
  checkUsSsn,
} from "./numbers.js";
import { DETECTORS } from "./table.js";

export interface Hit extends Found {
  readonly type: string;
}

interface Detector {
  readonly type: string;
  readonly find: (data: string) => Found[];
}

const CHECKS: Record<(typeof DETECTORS)[number]["check"], Check> = {
  checkAwsId,
  checkAwsSecret,
  checkBedrockKey,
  checkEmail,
  checkIban,
  checkIpv4,
  checkIpv6,
  checkJwt,
  checkPaymentCard,
  checkPhoneInternational,
  checkPhoneNamed,
  checkPhoneNational,
  checkPrivateKey,
  checkUsSsn,
  checkVaried,
};
/** Those that read each character once where a pattern, which goes back, might not. */
const FINDERS: Partial<Record<keyof typeof CHECKS, Detector["find"]>> = { checkEmail: findEmails, checkJwt: findJwts };
const ALL: readonly Detector[] = DETECTORS.map(({ type, check, pattern }) => ({
  type,
  find: FINDERS[check] ?? proposed(new RegExp(pattern, "dg"), CHECKS[check]),
}));
// What each detector needs at the least: a digit, an @, or how a secret begins.
const GATE = /[0-9@]|eyJ|-----BEGIN|A(?:KI|SI|BI|CC|3T|BS)|gh[pousr]_|github_pat|sk-|bedrock|secret/i;

/** Say whether a text could hold anything `scan` would find. Errs only towards true. */
export function mightHold(text: string): boolean {
  return GATE.test(text);
}

/** Find every value in a text, in order; where two overlap, the detector that comes first has it. */
export function scan(data: string): Hit[] {
  if (!mightHold(data)) return [];
  const hits: Hit[] = [];
  let taken: Uint8Array | null = null;
  for (const { type, find } of ALL) {
    for (const found of find(data)) {
      taken ??= new Uint8Array(data.length);
      if (taken.subarray(found.start, found.end).includes(1)) continue;
      taken.fill(1, found.start, found.end);
      hits.push({ ...found, type });
    }
  }
  return hits.sort((one, other) => one.start - other.start);
}

function proposed(pattern: RegExp, check: Check): Detector["find"] {
  return (data) => {
    const found: Found[] = [];
    pattern.lastIndex = 0;
    for (let match = pattern.exec(data); match !== null; match = pattern.exec(data)) {
      const [start, end] = match.indices?.[1] ?? match.indices?.[0] ?? [match.index, pattern.lastIndex];
      const accepted = check(data, start, end);
      if (accepted !== null) found.push(accepted);
      // Each search begins at the value's end, not the match's: the next may need what stands between them.
      pattern.lastIndex = accepted?.end ?? end;
    }
    return found;
  };
}
