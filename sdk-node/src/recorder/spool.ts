/** The writing side of one producer's spool: one write to the page cache a record, which outlives the process; nothing is waited for. */

import { closeSync, openSync, statSync, unlinkSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../clock.js";
import type { LossReason } from "../records.js";
import { entryOf, lossLine } from "./entries.js";
import { type Claim, END_FILE, bytesTaken, segmentPath } from "./folders.js";
import { OWNER_ONLY_FILE, RENEW_S } from "./owner.js";

const SEGMENT_BYTES_MAX = 4 * 1024 * 1024; // what a delivery frees at a time; 5,000 records or so
export const SPOOL_BYTES_MAX = 256 * 1024 * 1024; // of one destination: some 300,000 records, an hour of a busy agent without its server
const MEASURE_S_MIN = 1; // how often a full spool looks whether others made room
const STALLED_S_MIN = 3 * RENEW_S; // a process that stood still so long asks whether it still holds its spool

interface Segment {
  readonly index: number;
  readonly fd: number;
  size: number;
}

/** The spool of this process's producer. */
export class Spool {
  /** Nothing more is appended, and what is there is whole. */
  hasEnded = false;
  readonly claim: Claim;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #segmentBytesMax: number;
  readonly #losses = new Map<LossReason, { count: number; sinceAt: number }>();
  #segment: Segment | null;
  #room: number; // what the current segment may grow to
  #measuredAt = performance.now();
  #renewedAt = performance.now();

  constructor(claim: Claim, clock: Clock, bytesMax: number) {
    this.claim = claim;
    this.#clock = clock;
    this.#bytesMax = bytesMax;
    this.#segmentBytesMax = Math.min(SEGMENT_BYTES_MAX, Math.floor(bytesMax / 4)); // so that delivery always frees something
    this.#room = this.#measuredRoom();
    this.#segment = this.#opened(0);
  }

  get producerId(): string {
    return this.claim.producerId;
  }

  get hasLosses(): boolean {
    return this.#losses.size > 0;
  }

  /** Say whether the spool is still this process's: one that slept for long may find that another has taken it over. */
  isOurs(): boolean {
    return performance.now() - this.#renewedAt < STALLED_S_MIN * 1000 || this.renew();
  }

  /** Say again that this process lives; false where the spool is another's by now. */
  renew(): boolean {
    this.#renewedAt = performance.now();
    return this.claim.ownership.renew();
  }

  /** Append one framed record; return whether it is kept. */
  append(entry: Buffer): boolean {
    const lost = this.#write(entry);
    if (lost === null) {
      if (this.hasLosses) this.reportLosses();
      return true;
    }
    if (lost !== "torn") this.lose(lost); // its delivery says so
    return false;
  }

  /** Count records that could not be kept; they are reported when there is room again. */
  lose(reason: LossReason, count = 1, sinceAt = this.#clock()): void {
    const before = this.#losses.get(reason);
    this.#losses.set(reason, { count: (before?.count ?? 0) + count, sinceAt: Math.min(before?.sinceAt ?? sinceAt, sinceAt) });
  }

  /** Record what was lost, now that there may be room again; keep counting where there is none. */
  reportLosses(): void {
    const losses = [...this.#losses];
    this.#losses.clear();
    for (const [reason, { count, sinceAt }] of losses) {
      const line = lossLine({ occurred_at: this.#clock(), since_at: sinceAt, count, reason });
      if (this.#write(entryOf(line)) !== null) this.lose(reason, count, sinceAt);
    }
  }

  /** Say whether no byte will be added to segment `index`. */
  isFinal(index: number): boolean {
    return this.#segment === null || index < this.#segment.index;
  }

  /** Delete a delivered segment: its room is free again. */
  remove(index: number): void {
    const path = segmentPath(this.claim.folder, index);
    const { size } = statSync(path);
    unlinkSync(path);
    this.#room += size;
    if (this.hasLosses) this.reportLosses();
  }

  /** Go on in a new segment, so that the current one can be deleted once it is delivered; say whether that was possible. */
  turn(): boolean {
    const full = this.#segment;
    if (full === null || full.size === 0) return false;
    try {
      const room = this.#measuredRoom();
      this.#segment = this.#opened(full.index + 1);
      this.#room = room;
    } catch {
      return false; // the old segment still takes what fits; the next record tries again
    }
    closeSync(full.fd);
    return true;
  }

  /**
   * End the spool in order: nothing is appended after it, and the marker says so.
   *
   * Without the marker where records are still unaccounted for: an end that cannot prove itself is none. Throws where
   * it cannot be written.
   */
  end(): void {
    if (this.hasLosses) this.reportLosses();
    const last = this.#segment;
    this.#segment = null;
    this.hasEnded = true;
    if (last === null) return;
    closeSync(last.fd);
    if (!this.hasLosses) closeSync(openSync(join(this.claim.folder, END_FILE), "w", OWNER_ONLY_FILE));
  }

  #write(entry: Buffer): LossReason | null {
    const segment = this.#segment;
    if (segment === null) return "disk_full"; // after its end nobody appends
    if (segment.size >= this.#room && !this.#hasRoom(segment)) return "spool_full";
    let written: number;
    try {
      written = writeSync(segment.fd, entry);
    } catch {
      return "disk_full"; // whatever the disk says, the record is not kept
    }
    segment.size += written;
    if (segment.size >= this.#segmentBytesMax) this.turn();
    return written === entry.length ? null : "torn";
  }

  /** Look again, at most every `MEASURE_S_MIN`, whether other processes have made room. */
  #hasRoom(segment: Segment): boolean {
    const now = performance.now();
    if (now - this.#measuredAt < MEASURE_S_MIN * 1000) return false;
    this.#measuredAt = now;
    this.#room = this.#measuredRoom() + segment.size;
    return segment.size < this.#room;
  }

  #measuredRoom(): number {
    return this.#bytesMax - bytesTaken(dirname(this.claim.folder));
  }

  #opened(index: number): Segment {
    return { index, fd: openSync(segmentPath(this.claim.folder, index), "a", OWNER_ONLY_FILE), size: 0 };
  }
}
