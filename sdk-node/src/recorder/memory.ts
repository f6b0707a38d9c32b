/** A spool in memory, where no folder can be written: it delivers, and it dies with its process. */

import type { Clock } from "../clock.js";
import { idTime } from "../ids.js";
import type { LossReason } from "../records.js";
import { BATCH_RECORDS_MAX, type Backlog, type Batch, fitting } from "./backlog.js";
import { lossLine } from "./entries.js";

const MEMORY_BYTES_MAX = 16 * 1024 * 1024; // of the host's memory: some 20,000 records

/** Both sides of a producer's spool; a record's number is its place in the queue. */
export class MemorySpool implements Backlog {
  hasEnded = false;
  readonly producerId: string;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  #entries: Buffer[] = [];
  #bytes = 0;
  #delivered = 0;
  #lost = 0;
  #isClosed = false;

  constructor(producerId: string, clock: Clock, bytesMax = MEMORY_BYTES_MAX) {
    this.producerId = producerId;
    this.#clock = clock;
    this.#bytesMax = bytesMax;
  }

  get hasLosses(): boolean {
    return this.#lost > 0;
  }

  /** Nobody else can hold it. */
  isOurs(): boolean {
    return true;
  }

  renew(): boolean {
    return true;
  }

  /** Append one framed record; return whether it is kept. */
  append(entry: Buffer): boolean {
    if (this.#bytes >= this.#bytesMax) {
      this.#lost += 1;
      return false;
    }
    this.#entries.push(entry.subarray(1, -1));
    this.#bytes += entry.length;
    return true;
  }

  /** Count a record that could not be kept; a full memory is the one reason it reports. */
  lose(_reason: LossReason): void {
    this.#lost += 1;
  }

  end(): void {
    this.#reportLosses();
    this.hasEnded = true;
  }

  async nextBatch(recordsMax = BATCH_RECORDS_MAX): Promise<Batch | null> {
    let bytes = 0;
    const ends = this.#entries.slice(0, recordsMax).map((line) => (bytes += line.length));
    const lines = this.#entries.slice(0, fitting(ends, recordsMax));
    const isAll = lines.length === this.#entries.length;
    const closes = this.hasEnded && isAll;
    if (this.#isClosed || (lines.length === 0 && !closes)) return null;
    const end = { seq: this.#delivered + lines.length, segment: 0, offset: 0 };
    return { producerId: this.producerId, firstSeq: this.#delivered, lines, end, closes, isAll };
  }

  /** Drop what is delivered and report, now that there is room, what was lost. */
  acknowledge(batch: Batch): void {
    for (const line of this.#entries.splice(0, batch.lines.length)) this.#bytes -= line.length + 2;
    this.#delivered = batch.end.seq;
    this.#isClosed = batch.closes;
    if (!batch.closes) this.#reportLosses();
  }

  discard(): void {
    this.#entries = [];
  }

  /** Nobody else can deliver it: what is left is lost with the process. */
  release(): void {
    this.#entries = [];
  }

  #reportLosses(): void {
    if (this.#lost === 0) return;
    const line = lossLine({ occurred_at: this.#clock(), since_at: idTime(this.producerId), count: this.#lost, reason: "disk_full" });
    this.#lost = 0;
    this.#entries.push(Buffer.from(line));
  }
}
