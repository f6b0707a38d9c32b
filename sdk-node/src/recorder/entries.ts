/**
 * How records lie in a spool: JSON text sequences (RFC 7464), so that a torn entry never hides the next one.
 *
 * Each entry is RS, the JSON text, LF. JSON text holds neither byte raw, so an RS always starts an entry: what
 * a short write left behind ends where the next entry begins, and keeps its number.
 */

import type { LossReason, LossRecord } from "../records.js";

export const RS = 0x1e;
const LF = 0x0a;
const OCCURRED_AT = /"occurred_at":(\d{1,16})[,}]/;

/** What a stretch of a segment holds. `ends[i]` is where entry i ends, counted from the stretch's start. */
export interface Entries {
  readonly lines: readonly Buffer[]; // an entry without its frame; for a torn one its stand-in
  readonly ends: readonly number[];
}

/** Frame a record's JSON text for the spool. */
export function entryOf(line: string): Buffer {
  return Buffer.from(`\x1e${line}\n`);
}

/**
 * Split a stretch of a segment into its entries.
 *
 * Where more may still be written (not `isFinal`), an unfinished last entry is left for later. A torn entry becomes a
 * loss record, the same one each time it is read, dated by what is left of it or else by the producer's start.
 */
export function split(stretch: Buffer, { isFinal, startedAt }: { isFinal: boolean; startedAt: number }): Entries {
  const lines: Buffer[] = [];
  const ends: number[] = [];
  for (let start = stretch.indexOf(RS); start >= 0; ) {
    const next = stretch.indexOf(RS, start + 1);
    const end = next < 0 ? stretch.length : next;
    const entry = stretch.subarray(start + 1, end);
    const lineEnd = entry.indexOf(LF);
    const isWhole = lineEnd > 0 && lineEnd === entry.length - 1;
    if (!isWhole && next < 0 && !isFinal && entry.at(-1) !== LF) break;
    lines.push(isWhole ? entry.subarray(0, lineEnd) : standIn(entry, "torn", startedAt));
    ends.push(end);
    start = next;
  }
  return { lines, ends };
}

/** Return the loss record that takes the place, and so the number, of one that cannot be delivered. */
export function standIn(fragment: Buffer, reason: LossReason, startedAt: number): Buffer {
  const found = OCCURRED_AT.exec(fragment.toString("latin1"));
  const occurredAt = found ? Number(found[1]) : startedAt;
  return Buffer.from(lossLine({ occurred_at: occurredAt, since_at: Math.min(startedAt, occurredAt), count: 1, reason }));
}

/** Return a loss as the line that reports it. */
export function lossLine(loss: Omit<LossRecord, "kind">): string {
  return JSON.stringify({ kind: "loss", ...loss } satisfies LossRecord);
}
