/** Globs whose only wildcard is `*`, matched in linear time. */

export type Matcher = (text: string) => boolean;

/** A pattern taken apart: `head`, then `middle` pieces in order, then `tail`. A literal is all `head`. */
export interface Glob {
  readonly pattern: string;
  readonly head: string;
  readonly middle: readonly string[];
  readonly tail: string;
  readonly isLiteral: boolean;
}

/** Take a pattern apart at its stars; several in a row are one. */
export function glob(pattern: string): Glob {
  const pieces = pattern.split("*");
  const isLiteral = pieces.length === 1;
  return {
    pattern,
    head: pieces[0],
    middle: pieces.slice(1, -1).filter((piece) => piece !== ""),
    tail: isLiteral ? "" : pieces[pieces.length - 1],
    isLiteral,
  };
}

export function isEverything({ head, middle, tail, isLiteral }: Glob): boolean {
  return !isLiteral && head === "" && tail === "" && middle.length === 0;
}

/**
 * Tell whether the whole text matches.
 *
 * The leftmost place of each middle piece is always a right one, because a `*` follows it: no backtracking.
 */
export function matches({ head, middle, tail, isLiteral }: Glob, text: string): boolean {
  if (isLiteral) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let at = head.length;
  for (const piece of middle) {
    at = text.indexOf(piece, at);
    if (at < 0 || at + piece.length > end) return false;
    at += piece.length;
  }
  return true;
}

/** Return the function that tells whether a text matches one of the globs: literals by look-up, the others in turn. */
export function anyMatcher(wanted: readonly Glob[]): Matcher {
  if (wanted.some(isEverything)) return () => true;
  const literals = new Set(wanted.filter((each) => each.isLiteral).map((each) => each.head));
  const others = wanted.filter((each) => !each.isLiteral);
  return (text) => literals.has(text) || others.some((each) => matches(each, text));
}
