/** Which known word a mistaken one may mean. */

const MEANT: ReadonlyMap<string, string> = new Map([
  ...["block", "forbid", "reject"].map((word) => [word, "deny"] as const),
  ...["permit", "accept"].map((word) => [word, "allow"] as const),
  ...["log", "monitor"].map((word) => [word, "audit"] as const),
  ...["when", "if"].map((word) => [word, "conditions"] as const),
  ["=", "eq"],
  ["==", "eq"],
  ["equals", "eq"],
  ["!=", "not_in"],
  ["nin", "not_in"],
  [">", "gt"],
  [">=", "gte"],
  ["<", "lt"],
  ["<=", "lte"],
]);
const WORD_CHARS_MAX = 64;
const LIKENESS_MIN = 0.6;

/** Return the known word that is meant, null where none is near. */
export function nearest(word: unknown, known: readonly string[]): string | null {
  if (typeof word !== "string") return null;
  const plain = word.trim().toLowerCase().slice(0, WORD_CHARS_MAX);
  const meant = MEANT.get(plain);
  if (meant !== undefined && known.includes(meant)) return meant;
  let [best, bestLikeness] = [null as string | null, LIKENESS_MIN];
  for (const each of known) {
    const likeness = likenessOf(each, plain);
    if (likeness > bestLikeness || (likeness === bestLikeness && (best === null || each > best))) [best, bestLikeness] = [each, likeness];
  }
  return best;
}

/** Return the names under which something is given that is not known: it would be left out without a word. */
export function unknownNames(given: object, known: readonly string[]): string[] {
  return Object.entries(given).flatMap(([name, value]) => (value === undefined || known.includes(name) ? [] : [name]));
}

/** Say which known word is meant, or else which there are. */
export function meantOrKnown(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === null ? `known are ${listed(known)}` : `did you mean \`${meant}\`?`;
}

/** Return words as a person reads them. */
export function listed(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

/** Return twice the characters in common over all characters (Ratcliff and Obershelp, 1988). */
function likenessOf(one: string, other: string): number {
  const all = one.length + other.length;
  return all === 0 ? 1 : (2 * inCommon(one, other)) / all;
}

function inCommon(one: string, other: string): number {
  let [length, start, otherStart] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    for (let j = 0; j < other.length; j++) {
      let same = 0;
      while (i + same < one.length && j + same < other.length && one[i + same] === other[j + same]) same++;
      if (same > length) [length, start, otherStart] = [same, i, j];
    }
  }
  if (length === 0) return 0;
  return (
    length +
    inCommon(one.slice(0, start), other.slice(0, otherStart)) +
    inCommon(one.slice(start + length), other.slice(otherStart + length))
  );
}
