/**
 * Who holds a spool's folder: one file in it, whose name says which process, on which run of which machine.
 *
 * To take a dead process's folder over is to rename that file, from its name to one's own: of two who try, the second
 * finds it gone. Node has no file locks, and this needs none. A process id alone would say too little: it is used again,
 * and in another container it is another process. So the name holds when the process started and which set of process ids
 * it is from; of one from elsewhere only the file's time can tell, which its holder renews.
 */

import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { codeOf } from "../errors.js";

const PREFIX = "owner.";
const RELEASED = `${PREFIX}released`;
export const RENEW_S = 15;
const UNRENEWED_S_MAX = 120; // of a holder that cannot be asked; a host asleep for longer goes on as another producer
export const OWNER_ONLY_FOLDER = 0o700;
export const OWNER_ONLY_FILE = 0o600;
const START_FIELD = 19; // of /proc/<pid>/stat, counted behind the process's name: when it started, in ticks since the boot

/** A folder while this process holds it. */
export class Ownership {
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  /** Say again that the holder lives; false where somebody took the folder over, or it is gone. */
  renew(): boolean {
    try {
      const now = new Date();
      utimesSync(this.#path, now, now);
      return true;
    } catch {
      return false; // whatever is in the way: what cannot be renewed is held no longer
    }
  }

  /** Let go of the folder, so that whoever comes next may take it. */
  release(): void {
    try {
      renameSync(this.#path, join(this.#folder, RELEASED));
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }

  /** Say of the folder that it has another place now. */
  movedTo(folder: string): Ownership {
    return new Ownership(folder, this.#name);
  }

  get #path(): string {
    return join(this.#folder, this.#name);
  }
}

/** Take a new folder that nobody else knows of. */
export function take(folder: string): Ownership {
  const name = ownName();
  writeFileSync(join(folder, name), "", { mode: OWNER_ONLY_FILE, flag: "wx" });
  return new Ownership(folder, name);
}

/** Take a folder over whose holder is gone; null where there is a living one, or none that this SDK knows. */
export function takeOver(folder: string): Ownership | null {
  const held = readdirSync(folder).filter((name) => name.startsWith(PREFIX));
  if (held.length !== 1 || !isGone(folder, held[0])) return null;
  const name = ownName();
  try {
    renameSync(join(folder, held[0]), join(folder, name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null; // another was faster
    throw error;
  }
  const ownership = new Ownership(folder, name);
  ownership.renew();
  return ownership;
}

function isGone(folder: string, name: string): boolean {
  if (name === RELEASED) return true;
  const [, space, pid, started] = name.split(".");
  if (space === SPACE) return startOf(Number(pid)) !== started;
  try {
    return Date.now() - statSync(join(folder, name)).mtimeMs > UNRENEWED_S_MAX * 1000;
  } catch {
    return false; // it has changed hands meanwhile
  }
}

function ownName(): string {
  return `${PREFIX}${SPACE}.${process.pid}.${startOf(process.pid) ?? "unknown"}.${randomBytes(4).toString("hex")}`;
}

/** Return when a process started, as far as the system tells; null where there is no such process. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return "ZX".includes(fields[0]) ? null : fields[START_FIELD]; // a zombie writes no more
  } catch {
    return isRunning(pid) ? "unknown" : null;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Return what process ids are counted in: a run of a machine, and a container in it. */
function spaceOfProcesses(): string {
  let space = `${process.platform} ${hostname()}`;
  try {
    space = `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1")} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    // not Linux: the machine's name has to do
  }
  return createHash("sha256").update(space).digest("hex").slice(0, 16);
}

const SPACE = spaceOfProcesses();
