/** The time of an edge: microseconds since 1970 UTC, as records have it. */

export type Clock = () => number;

let last = 0;

/** Return the time: Node's clock has milliseconds, and the calls within one are numbered, so that they stay in order. */
export function now(): number {
  const at = Date.now() * 1000;
  last = last >= at && last < at + 1000 ? Math.min(last + 1, at + 999) : at;
  return last;
}
