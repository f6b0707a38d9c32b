/** The reading side of a spool: what is still to be delivered, batch by batch, and the deletion of what is. */

import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { Tampered, codeOf } from "../errors.js";
import { idTime } from "../ids.js";
import { RS, split } from "./entries.js";
import { type Claim, hasEnded, segmentPath, segments } from "./folders.js";
import { type Position, PositionFile } from "./position.js";
import type { Spool } from "./spool.js";

export const BATCH_RECORDS_MAX = 500; // the cost per batch is spread, and a message stays well below a broker's limit
const BATCH_BYTES_MAX = 1024 * 1024; // before compression; the gateway takes more

/** A contiguous range of one producer's records, on its way. `firstSeq + lines.length` is its running total. */
export interface Batch {
  readonly producerId: string;
  readonly firstSeq: number;
  readonly lines: readonly Buffer[];
  readonly end: Position;
  readonly closes: boolean; // the producer ended in order and nothing follows
  readonly isAll: boolean; // nothing more was there when it was read
}

/** What one producer still has to deliver. */
export interface Backlog {
  readonly producerId: string;
  /** Return the next undelivered records, null where there are none now. Repeated, it returns the same ones. */
  nextBatch(recordsMax?: number): Promise<Batch | null>;
  /** Take note that a batch is durable at the gateway. */
  acknowledge(batch: Batch): void;
  /** Delete what is left of a producer that has nothing more to deliver. */
  discard(): void;
  /** Let go of it, so that another process may deliver the rest. */
  release(): void;
}

/** The backlog of a spool on disk, of this process (`spool`) or of a dead one whose folder is taken over. */
export class SpoolBacklog implements Backlog {
  readonly producerId: string;
  readonly #claim: Claim;
  readonly #spool: Spool | null;
  readonly #file: PositionFile;
  #position: Position;
  #isClosed = false;

  constructor(claim: Claim, spool: Spool | null = null) {
    this.producerId = claim.producerId;
    this.#claim = claim;
    this.#spool = spool;
    this.#file = new PositionFile(claim.folder);
    this.#position = this.#file.position;
  }

  /** Return the next undelivered records; batches end where segments do. */
  async nextBatch(recordsMax = BATCH_RECORDS_MAX): Promise<Batch | null> {
    while (!this.#isClosed) {
      const at = this.#position;
      const ended = hasEnded(this.#claim.folder); // asked before reading, as nothing follows it
      const isFinal = this.#spool === null || this.#spool.isFinal(at.segment);
      const { stretch, reachesEnd } = this.#read(at, isFinal);
      const found = split(stretch, { isFinal: isFinal && reachesEnd, startedAt: idTime(this.producerId) });
      const count = fitting(found.ends, recordsMax);
      const isAll = reachesEnd && count === found.lines.length;
      const isLast = isAll && isFinal && !this.#hasNext(at.segment);
      if (count > 0 || (isLast && ended)) {
        return {
          producerId: this.producerId,
          firstSeq: at.seq,
          lines: found.lines.slice(0, count),
          end: { seq: at.seq + count, segment: at.segment, offset: at.offset + (count > 0 ? found.ends[count - 1] : 0) },
          closes: isLast && ended,
          isAll: isAll && (isLast || !isFinal),
        };
      }
      if (isLast || !(isFinal || this.#makesRoom())) return null;
      if (isFinal) await this.#leave(at);
    }
    return null;
  }

  /** Write down how far the spool is delivered. */
  acknowledge(batch: Batch): void {
    this.#file.advance(batch.end);
    this.#position = batch.end;
    this.#isClosed = batch.closes;
  }

  discard(): void {
    this.#file.close();
    rmSync(this.#claim.folder, { recursive: true, force: true });
  }

  release(): void {
    this.#file.close();
    this.#claim.ownership.release();
  }

  /** Return the segment's bytes from `at`, one whole entry at least, and whether they reach its end. */
  #read(at: Position, isFinal: boolean): { stretch: Buffer; reachesEnd: boolean } {
    let fd: number;
    try {
      fd = openSync(segmentPath(this.#claim.folder, at.segment), "r");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      if (this.#spool === null) return { stretch: Buffer.alloc(0), reachesEnd: true };
      throw new Tampered(
        `spool \`${this.#claim.folder}\`: segment ${at.segment} is gone while its process lives; expected nobody to delete a ` +
          "spool in use. What it held is lost; recording goes on as a new producer",
      );
    }
    try {
      for (let size = BATCH_BYTES_MAX; ; size *= 2) {
        const bytes = Buffer.allocUnsafe(size);
        const stretch = bytes.subarray(0, readSync(fd, bytes, 0, size, at.offset));
        const reachesEnd = stretch.length < size;
        if (reachesEnd || !isFinal || stretch.indexOf(RS, stretch.indexOf(RS) + 1) > 0) return { stretch, reachesEnd };
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Have a live spool that lost records go on in a new segment: deleting this one, delivered, makes room on a full disk. */
  #makesRoom(): boolean {
    return this.#spool !== null && this.#spool.hasLosses && this.#spool.turn();
  }

  #hasNext(segment: number): boolean {
    return segments(this.#claim.folder).some((index) => index > segment);
  }

  /** Go on to the next segment and delete the delivered one; durably in this order, or numbers would start anew. */
  async #leave(at: Position): Promise<void> {
    const segment = segments(this.#claim.folder).find((index) => index > at.segment) as number;
    const next = { seq: at.seq, segment, offset: 0 };
    this.#file.advance(next);
    await this.#file.sync();
    this.#position = next;
    if (this.#spool !== null) this.#spool.remove(at.segment);
    else rmSync(segmentPath(this.#claim.folder, at.segment), { force: true });
  }
}

/** Return how many entries, of which each ends where `ends` says, go into one batch: at least one, whatever its size. */
export function fitting(ends: readonly number[], recordsMax: number): number {
  let count = Math.min(ends.length, recordsMax);
  while (count > 1 && ends[count - 1] > BATCH_BYTES_MAX) count--;
  return count;
}
