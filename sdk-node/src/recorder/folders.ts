/**
 * Where spools lie, and which are left behind.
 *
 *     <spool>/<destination>/destination.json         where its records go: base URL and project
 *     <spool>/<destination>/<producer id>/owner.…     who holds it (see `owner`)
 *                                        /position   how far it is delivered
 *                                        /00000000.records …  the segments
 *                                        /end        the producer ended in order; nothing follows
 *
 * The Python SDK keeps its spools in the same place, with a lock file instead of the owner's: neither takes the
 * other's over, and both count towards the limit.
 */

import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../errors.js";
import { OWNER_ONLY_FOLDER, type Ownership, take, takeOver } from "./owner.js";

const DESTINATION_FILE = "destination.json";
export const END_FILE = "end";
const SEGMENT_SUFFIX = ".records";
const PRODUCER_ID_CHARS = 36; // a UUID: what else lies here is no spool
const DRAFT_PREFIX = ".new-";
const DRAFT_AGE_S_MAX = 60; // making a folder takes milliseconds

/** Where records are to go; without a server `baseUrl` is null: they wait for one with the same project. */
export interface Destination {
  readonly projectId: string;
  readonly baseUrl: string | null;
}

/** A producer's folder while this process holds it. */
export interface Claim {
  readonly producerId: string;
  readonly folder: string;
  readonly ownership: Ownership;
}

/** Return where spools may lie, best first: `wanted`, and a private folder among the temporary files. */
export function roots(wanted: string): string[] {
  return [wanted, temporaryRoot()];
}

/** Return this user's folder among the temporary files; `begin` refuses it where somebody else made it first. */
export function temporaryRoot(): string {
  return join(tmpdir(), `controlzero-spool-${process.getuid?.() ?? "user"}`);
}

/** Make a producer's folder and hold it. It appears under its name only once it is held. Throws where it cannot be written. */
export function begin(root: string, destination: Destination, producerId: string): Claim {
  const home = homeOf(root, destination);
  mkdirSync(root, { mode: OWNER_ONLY_FOLDER, recursive: true });
  checkOwner(root);
  mkdirSync(home, { mode: OWNER_ONLY_FOLDER, recursive: true });
  const draft = join(home, `${DRAFT_PREFIX}${producerId}`);
  if (!existsSync(join(home, DESTINATION_FILE))) {
    writeFileSync(`${draft}.json`, JSON.stringify({ project_id: destination.projectId, base_url: destination.baseUrl }));
    renameSync(`${draft}.json`, join(home, DESTINATION_FILE));
  }
  mkdirSync(draft, { mode: OWNER_ONLY_FOLDER });
  const ownership = take(draft);
  const folder = join(home, producerId);
  renameSync(draft, folder);
  return { producerId, folder, ownership: ownership.movedTo(folder) };
}

/** Throw for a spool that somebody else made, or leads us to: what lies there would be believed. */
export function checkOwner(root: string): void {
  const we = process.getuid?.(); // Windows has no such number, and its folders have lists of their own
  if (we === undefined) return;
  if (statSync(root).uid !== we || ![we, 0].includes(lstatSync(root).uid)) throw new Error(`${root}: the spool belongs to another user`);
}

/** Take over, one after the other, the folders of this destination whose process is gone. */
export function* abandoned(root: string, destination: Destination): Generator<Claim> {
  const home = homeOf(root, destination);
  sweepDrafts(home);
  for (const producerId of producers(home)) {
    const folder = join(home, producerId);
    const ownership = attempt(() => takeOver(folder));
    if (ownership !== null) yield { producerId, folder, ownership };
  }
}

/** Say whether its producer ended in order. */
export function hasEnded(folder: string): boolean {
  return existsSync(join(folder, END_FILE));
}

/** Return what all spools of a destination's folder take up on disk. */
export function bytesTaken(home: string): number {
  return producers(home)
    .map((producer) => join(home, producer))
    .flatMap((folder) => segments(folder).map((index) => segmentPath(folder, index)))
    .reduce((sum, path) => sum + (attempt(() => statSync(path).size) ?? 0), 0);
}

/** Return the numbers of a spool's segments in order; none where the folder is gone. */
export function segments(folder: string): number[] {
  const names = attempt(() => readdirSync(folder)) ?? [];
  return names
    .filter((name) => name.endsWith(SEGMENT_SUFFIX))
    .map((name) => parseInt(name, 10))
    .sort((one, other) => one - other);
}

/** Return the path of a spool's segment number `index`. */
export function segmentPath(folder: string, index: number): string {
  return join(folder, `${String(index).padStart(8, "0")}${SEGMENT_SUFFIX}`);
}

function homeOf(root: string, { projectId, baseUrl }: Destination): string {
  const name = createHash("sha256").update(`${baseUrl ?? "local"}\n${projectId}`).digest("hex").slice(0, 32);
  return join(root, name);
}

function producers(home: string): string[] {
  return (attempt(() => readdirSync(home)) ?? []).filter((name) => name.length === PRODUCER_ID_CHARS).sort();
}

function sweepDrafts(home: string): void {
  const drafts = (attempt(() => readdirSync(home)) ?? []).filter((name) => name.startsWith(DRAFT_PREFIX));
  for (const draft of drafts.map((name) => join(home, name))) {
    const madeAt = attempt(() => statSync(draft).mtimeMs);
    if (madeAt !== null && Date.now() - madeAt > DRAFT_AGE_S_MAX * 1000) rmSync(draft, { recursive: true, force: true });
  }
}

/** Return what a look at the disk finds, null where what it looks for is gone or not ours to read. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return null;
  }
}
