/**
 * How far a producer's spool is delivered: a fixed file of two slots, overwritten in place.
 *
 * In place, because a full disk must not stop the deletion that makes room again; two slots with a checksum,
 * because a machine that loses power may tear one.
 */

import { createHash } from "node:crypto";
import { closeSync, constants, fsync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Tampered } from "../errors.js";
import { OWNER_ONLY_FILE } from "./owner.js";

const FILE_NAME = "position";
const SLOT_BYTES = 64;
const CHECKSUM_HEX = 8;

/** Everything before record number `seq` is delivered; it starts at `offset` of segment `segment`. */
export interface Position {
  readonly seq: number;
  readonly segment: number;
  readonly offset: number;
}

const START: Position = { seq: 0, segment: 0, offset: 0 };

/** The position of one producer, read and moved forward by whoever holds its folder. */
export class PositionFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #slots: (Position | null)[];

  constructor(folder: string) {
    this.#path = join(folder, FILE_NAME);
    this.#fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT, OWNER_ONLY_FILE);
    try {
      this.#slots = this.#read();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The furthest position written. */
  get position(): Position {
    return this.#slots[1 - this.#older] as Position;
  }

  /** Write a further position over the older slot. */
  advance(position: Position): void {
    const older = this.#older;
    writeSync(this.#fd, encode(position), 0, SLOT_BYTES, older * SLOT_BYTES);
    this.#slots[older] = position;
  }

  /** Wait for the disk to hold what was written. */
  async sync(): Promise<void> {
    await promisify(fsync)(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The slot that is torn, or behind the other. */
  get #older(): 0 | 1 {
    const [one, other] = this.#slots;
    if (one === null || other === null) return one === null ? 0 : 1;
    return (one.seq - other.seq || one.segment - other.segment || one.offset - other.offset) <= 0 ? 0 : 1;
  }

  #read(): (Position | null)[] {
    const data = Buffer.alloc(2 * SLOT_BYTES);
    if (readSync(this.#fd, data, 0, data.length, 0) === 0) {
      writeSync(this.#fd, Buffer.concat([encode(START), encode(START)]), 0, 2 * SLOT_BYTES, 0);
      return [START, START];
    }
    const slots = [decode(data.subarray(0, SLOT_BYTES)), decode(data.subarray(SLOT_BYTES))];
    if (slots.every((slot) => slot === null)) {
      throw new Tampered(
        `spool position \`${this.#path}\`: neither slot has a valid checksum; expected the place up to which records are ` +
          "delivered. Move the folder aside and keep it: its records can be sent again once their first number is known",
      );
    }
    return slots;
  }
}

function encode({ seq, segment, offset }: Position): Buffer {
  const text = `${seq} ${segment} ${offset} `;
  return Buffer.from((text + checksum(text)).padEnd(SLOT_BYTES, "\n"));
}

function decode(slot: Buffer): Position | null {
  const text = slot.toString("latin1").trimEnd();
  const [seq, segment, offset] = text.split(" ").map(Number);
  return checksum(text.slice(0, -CHECKSUM_HEX)) === text.slice(-CHECKSUM_HEX) ? { seq, segment, offset } : null;
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, CHECKSUM_HEX);
}
