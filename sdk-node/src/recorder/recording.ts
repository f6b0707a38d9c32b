/** The recorder of one destination: begins a producer at the first record, delivers, and ends it with the process. */

import type { Clock } from "../clock.js";
import { HttpLink } from "../link.js";
import { Told } from "../told.js";
import { SpoolBacklog } from "./backlog.js";
import { entryOf } from "./entries.js";
import { type Destination, begin, roots } from "./folders.js";
import { type Left, deliverLeft } from "./leaving.js";
import { MemorySpool } from "./memory.js";
import { type OwnBacklog, Sender } from "./sender.js";
import { Spool } from "./spool.js";

export const EXIT_S_MAX = 2; // how long the end of a process waits for its gateway; what is left is adopted by another

export interface RecorderSettings {
  readonly destination: Destination; // without a server, records stay in the spool
  readonly root: string;
  readonly apiKey: string | null; // of the destination's server
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly newId: (at: number) => string;
}

/** Records lines for one destination. */
export class Recorder {
  readonly #settings: RecorderSettings;
  readonly #told = new Told();
  #spool: Spool | MemorySpool | null = null;
  #sender: Sender | null = null;

  constructor(settings: RecorderSettings) {
    this.#settings = settings;
  }

  /** The producer of this process's run, null before its first record. */
  get producerId(): string | null {
    return this.#spool?.producerId ?? null;
  }

  /** Record one line of JSON text; return whether it is kept. One write to the page cache, nothing is waited for. */
  record(line: string): boolean {
    const kept = this.#current().append(entryOf(line));
    this.#sender?.ring();
    return kept;
  }

  /** Count a record that could not be encoded. */
  lose(): void {
    this.#current().lose("unencodable");
  }

  /** Deliver what was recorded before this call; false where that was not possible in time. */
  async flush(timeoutS: number): Promise<boolean> {
    if (this.#spool === null) return true;
    return this.#sender !== null && (await this.#sender.flush(timeoutS));
  }

  /** End the producer in order and deliver what it recorded; false where some of it waits for adoption. */
  async close(timeoutS: number): Promise<boolean> {
    if (this.#spool?.hasLosses && this.#sender !== null) await this.#sender.flush(timeoutS); // it makes room to report what was lost
    const sender = this.#sender;
    const spool = this.end();
    if (spool === null) return true;
    if (sender === null) {
      if (spool instanceof Spool) spool.claim.ownership.release();
      return false;
    }
    const giveUpAt = performance.now() + timeoutS * 1000;
    const isDelivered = await sender.flush(timeoutS);
    await sender.stop(giveUpAt - performance.now());
    return isDelivered;
  }

  /** End the producer in order and let go of its spool at once; say where what it holds is to go, null where nobody can bring it there now. */
  leave(): Left | null {
    const spool = this.end();
    const { destination, root, apiKey } = this.#settings;
    if (!(spool instanceof Spool) || apiKey === null) return null;
    try {
      spool.claim.ownership.release();
    } catch {
      return null; // whatever the disk says: another process will find that this one is gone
    }
    return { destination, roots: roots(root), apiKey };
  }

  /** End the producer in order, without waiting for anything: what it recorded is delivered by whoever comes next. */
  end(): Spool | MemorySpool | null {
    const spool = this.#spool;
    [this.#spool, this.#sender] = [null, null];
    BEGUN.delete(this);
    try {
      spool?.end();
    } catch (error) {
      this.#told.say(`The spool's end could not be marked, so its tail stays unproven: ${(error as Error).message}.`);
    }
    return spool;
  }

  /** Return the spool to write to: another one where there is none, or where this one is another's by now. */
  #current(): Spool | MemorySpool {
    if (this.#spool !== null && this.#spool.isOurs()) return this.#spool;
    const { clock, newId, destination, root, apiKey } = this.#settings;
    const spool = this.#begun(newId(clock()));
    if (destination.baseUrl !== null && apiKey !== null) {
      this.#sender ??= new Sender(new HttpLink(destination.baseUrl, apiKey), destination, roots(root));
      this.#sender.deliver(this.#own(spool));
    }
    this.#spool = spool;
    BEGUN.add(this);
    closeWithTheProcess();
    return spool;
  }

  #begun(producerId: string): Spool | MemorySpool {
    const { destination, root, clock, bytesMax } = this.#settings;
    const refusals: string[] = [];
    for (const each of roots(root)) {
      try {
        return new Spool(begin(each, destination, producerId), clock, bytesMax);
      } catch (error) {
        refusals.push((error as Error).message);
      }
    }
    this.#told.say(`No folder can hold the spool, so records stay in memory and die with the process: ${refusals.join("; ")}.`);
    return new MemorySpool(producerId, clock);
  }

  #own(spool: Spool | MemorySpool): OwnBacklog {
    return {
      backlog: spool instanceof Spool ? new SpoolBacklog(spool.claim, spool) : spool,
      hasEnded: () => spool.hasEnded,
      renew: () => spool.renew(),
      giveUp: () => {
        if (this.#spool === spool) this.#spool = null; // the next record begins another producer
      },
    };
  }
}

const BEGUN = new Set<Recorder>(); // with a producer that has not ended, whether anybody still holds the recorder or not
let isClosingWithTheProcess = false;

/** Deliver at the end of the program, also where it is ended at once: by an error that nobody caught, or by `process.exit()`. */
function closeWithTheProcess(): void {
  if (isClosingWithTheProcess) return;
  isClosingWithTheProcess = true;
  process.on("beforeExit", () => {
    for (const recorder of [...BEGUN]) void recorder.close(EXIT_S_MAX);
  });
  process.on("exit", () => {
    deliverLeft([...BEGUN].flatMap((recorder) => recorder.leave() ?? []), EXIT_S_MAX);
  });
}
