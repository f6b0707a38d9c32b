/** Mask personal data and secrets where they stand, and leave a receipt for each. */

import { type JsonObject, emptyObject } from "../json.js";
import { NAME_CHARS_MAX, type Redaction, cut } from "../records.js";
import { APART, type Found } from "./checks.js";
import { fingerprint, token } from "./digests.js";
import { type Hit, mightHold, scan } from "./find.js";
import { Members } from "./members.js";

// Taking a value away can free its neighbour, as in `a@b.co1.2.3.4`. Real text is done after two passes; one that is
// not after this many was made to resist, and is masked whole.
const PASSES_MAX = 8;
const TEXT_CHARS_MAX = 1 << 20; // a longer one that might hold something is masked whole: to mask in it would hold up the agent
const MASKS_KEPT_MAX = 4_096; // masks of values seen again and again, as in the turns of one conversation
const RECEIPTS_MAX = 64; // for one JSON value; past it they say only how many of each type the whole of it held
export const UNREADABLE = "unreadable"; // the type in the mask of what could not be read: endless, made to resist
const VAULT_SECRET = "vault_secret"; // the type of what is no pattern: a secret that the SDK holds, found by its own text

interface Mask {
  readonly text: string;
  readonly digest: string;
}

interface Masked {
  readonly place: number;
  readonly inName: boolean;
  readonly type: string;
  count: number;
  digest: string | null; // where all of them were one value
}

/**
 * The masks of one project: `[email:kdfbcaemph]` for a value, and its fingerprint. Keeps the latest to save time.
 *
 * `known` finds what is masked beside the patterns, and before them: secrets, of which nothing is kept.
 */
export class Masks {
  readonly #key: Uint8Array;
  readonly #known: (text: string) => Found[];
  readonly #kept = new Map<string, Mask>();

  constructor(key: Uint8Array, known: (text: string) => Found[] = () => []) {
    this.#key = key;
    this.#known = known;
  }

  /** Find what is to be masked in a text, in order. */
  find(text: string): Hit[] {
    const known = this.#known(text).map((found) => ({ ...found, type: VAULT_SECRET }));
    return known.length > 0 ? known : scan(text);
  }

  /** Say whether `find` could find anything. Errs only towards true. */
  mightFind(text: string): boolean {
    return mightHold(text) || this.#known(text).length > 0;
  }

  /** Give the mask and the fingerprint of a value. */
  of(type: string, value: string): Mask {
    const name = `${type}\0${value}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    if (this.#kept.size >= MASKS_KEPT_MAX) this.#kept.clear();
    const digest = fingerprint(this.#key, type, value);
    const mask = { text: `[${type}:${token(digest)}]`, digest };
    if (type !== VAULT_SECRET) this.#kept.set(name, mask);
    return mask;
  }
}

/** Mask every value in a text. `path` names the field in the receipts. */
export function redactText(text: string, masks: Masks, path: string): { text: string; receipts: Redaction[] } {
  if (!masks.mightFind(text)) return { text, receipts: [] };
  const pieces = [text];
  const masked = maskPieces(pieces, [0], masks);
  if (masked === null) return unreadable(text, masks, path);
  return { text: pieces[0], receipts: masked.map(({ type, count, digest }) => receipt(path, type, count, digest)) };
}

/** Mask every value in the texts, names and whole numbers of a JSON object that the caller owns; paths in receipts begin with `path`. */
export function redactJson(value: JsonObject, masks: Masks, path: string): { value: JsonObject; receipts: Redaction[] } {
  const members = new Members(value);
  const masked = maskPieces(members.pieces, members.textsAt, masks);
  if (masked === null) {
    const whole = unreadable(JSON.stringify(value), masks, path);
    return { value: Object.assign(emptyObject(), { [UNREADABLE]: whole.text }), receipts: whole.receipts };
  }
  const own = masked.filter(({ place, inName }) => !(inName && members.isItem(place)));
  members.putBack(own);
  const receipts = own.map(({ place, type, count, digest }) =>
    receipt(own.length > RECEIPTS_MAX ? path : members.path(place, path), type, count, digest),
  );
  return { value, receipts: own.length > RECEIPTS_MAX ? folded(receipts) : receipts };
}

/** Make one receipt of those for the same path and type; it keeps a fingerprint they all have. */
function folded(receipts: readonly Redaction[]): Redaction[] {
  const together = new Map<string, Redaction>();
  for (const { path, type, count = 1, fingerprint: digest = null } of receipts) {
    const other = together.get(type);
    const same = other === undefined || other.fingerprint === digest ? digest : null;
    together.set(type, receipt(path, type, count + (other ? (other.count ?? 1) : 0), same));
  }
  return [...together.values()];
}

/** Mask every value in the pieces until there is none, and tell what was masked in the name or text of which; null where there is no end. */
function maskPieces(pieces: string[], textsAt: number[], masks: Masks): Masked[] | null {
  const receipts = new Map<string, Masked>();
  try {
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      const text = pieces.join(APART);
      if (!masks.mightFind(text)) return [...receipts.values()];
      if (text.length > TEXT_CHARS_MAX) return null;
      const hits = masks.find(text);
      if (hits.length === 0) return [...receipts.values()];
      maskOnce(pieces, textsAt, hits, masks, receipts);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a pattern that went too deep
  }
  return null;
}

function maskOnce(pieces: string[], textsAt: number[], hits: readonly Hit[], masks: Masks, receipts: Map<string, Masked>): void {
  let [place, start, next] = [0, 0, 0];
  while (next < hits.length) {
    const piece = pieces[place];
    const end = start + piece.length;
    let [written, done, textAt] = ["", 0, textsAt[place]];
    for (; next < hits.length && hits[next].start < end; next++) {
      const hit = hits[next];
      const [from, to] = [hit.start - start, hit.end - start];
      const mask = masks.of(hit.type, hit.value);
      const inName = from < textAt;
      if (inName) textsAt[place] += mask.text.length - (to - from);
      written += piece.slice(done, from) + mask.text;
      done = to;
      note(receipts, { place, inName, type: hit.type, count: 1, digest: mask.digest });
    }
    if (done > 0) pieces[place] = written + piece.slice(done);
    [place, start] = [place + 1, end + 1];
  }
}

function note(receipts: Map<string, Masked>, one: Masked): void {
  const name = `${one.place} ${one.inName} ${one.type}`;
  const known = receipts.get(name);
  if (known === undefined) {
    receipts.set(name, one);
    return;
  }
  known.count += 1;
  if (known.digest !== one.digest) known.digest = null;
}

function unreadable(text: string, masks: Masks, path: string): { text: string; receipts: Redaction[] } {
  const mask = masks.of(UNREADABLE, text);
  return { text: mask.text, receipts: [receipt(path, UNREADABLE, 1, mask.digest)] };
}

function receipt(path: string, type: string, count: number, digest: string | null): Redaction {
  return { path: cut(path, NAME_CHARS_MAX), type, ...(count === 1 ? {} : { count }), ...(digest === null ? {} : { fingerprint: digest }) };
}
