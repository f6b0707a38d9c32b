/** The time of an edge: microseconds since 1970 UTC, as records have it. */

export type Clock = () => number;

export function now(): number {
  return Date.now() * 1000;
}
