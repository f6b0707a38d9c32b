/** The sender: brings spooled records to the gateway in the background, its own process's and dead ones'. */

import { setTimeout as delay } from "node:timers/promises";
import { Tampered, Unavailable, codeOf } from "../errors.js";
import { idTime } from "../ids.js";
import { BACKOFF_S_MAX, type DeliveryReply, type HttpLink, backoffS, stepAfter } from "../link.js";
import { Told } from "../told.js";
import { BATCH_RECORDS_MAX, type Backlog, type Batch, SpoolBacklog } from "./backlog.js";
import { standIn } from "./entries.js";
import { type Destination, abandoned } from "./folders.js";
import { RENEW_S } from "./owner.js";

const FLUSH_INTERVAL_S = 0.05; // records gather this long, so that a busy agent sends batches and a quiet one is seen at once
const ADOPT_INTERVAL_S = 10; // how often to look for spools of dead processes

/** A producer of this process: what it has to deliver, whether it has ended or lives, and what to do when its spool is gone. */
export interface OwnBacklog {
  readonly backlog: Backlog;
  readonly hasEnded: () => boolean;
  readonly renew: () => boolean;
  readonly giveUp: () => void;
}

/** Delivers the backlogs of one destination, one batch at a time and so at most one in flight per producer. */
export class Sender {
  readonly #link: HttpLink;
  readonly #destination: Destination;
  readonly #homes: readonly { root: string; destination: Destination }[];
  readonly #told = new Told();
  #own: OwnBacklog[] = [];
  #flushes: ((isDelivered: boolean) => void)[] = [];
  #wake: AbortController | null = null;
  #isRung = false;
  #isIdle = false;
  #adoptAt = 0;
  #renewAt = 0;
  #retryAt = 0;
  #failures = 0;
  #recordsMax = BATCH_RECORDS_MAX;
  #isStopping = false;
  #running: Promise<void> | null = null;

  constructor(link: HttpLink, destination: Destination, roots: readonly string[]) {
    this.#link = link;
    this.#destination = destination;
    const local = { ...destination, baseUrl: null };
    this.#homes = roots.flatMap((root) => [destination, local].map((each) => ({ root, destination: each })));
  }

  /** Take on a producer of this process; once it has ended and all is delivered, its spool is deleted. */
  deliver(own: OwnBacklog): void {
    this.#own.push(own);
    this.#running ??= this.#run();
    this.ring();
  }

  /** Tell the sender that something was recorded: it ends an idle sleep, not one in which records gather. */
  ring(): void {
    this.#isRung = true;
    if (this.#isIdle) this.#wake?.abort();
  }

  /** Deliver all that was recorded before this call; false where the gateway or the time did not allow it. Keeps the process alive that long. */
  async flush(timeoutS: number): Promise<boolean> {
    return await new Promise((resolve) => {
      const giveUp = setTimeout(() => resolve(false), timeoutS * 1000);
      this.#flushes.push((isDelivered) => {
        clearTimeout(giveUp);
        resolve(isDelivered);
      });
      this.#wake?.abort();
    });
  }

  /**
   * Stop, and let go of what is not delivered: another process, or the next one, takes it over. Keeps the process alive
   * for what is on its way, so that it is not sent again.
   */
  async stop(timeoutS: number): Promise<void> {
    this.#isStopping = true;
    this.#wake?.abort();
    const late = new AbortController();
    const giveUp = delay(Math.max(0, timeoutS * 1000), undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([this.#running, giveUp]);
    late.abort();
  }

  /** Deliver what processes that are gone left behind; false where the gateway or the disk did not allow it. */
  async adopt(): Promise<boolean> {
    return await this.#attempt(() => this.#adopt());
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      await this.#wait();
      await this.#deliverOnce();
    }
    for (const own of this.#own) await this.#attempt(async () => own.backlog.release());
    for (const answer of this.#flushes.splice(0)) answer(false);
    this.#link.close();
  }

  /** Sleep until there is something to send, a dead process's spool may be there, or a flush is asked for. */
  async #wait(): Promise<void> {
    const now = performance.now();
    this.#renewOwn(now);
    if (now < this.#retryAt) {
      if (this.#flushes.length === 0 && !this.#isStopping) await this.#sleep(this.#retryAt - now);
      return;
    }
    if (!this.#isRung && this.#flushes.length === 0 && !this.#isStopping) {
      this.#isIdle = true;
      await this.#sleep(Math.max(0, Math.min(this.#adoptAt, this.#renewAt) - now));
      this.#isIdle = false;
    }
    this.#isRung = false;
    if (this.#flushes.length === 0 && !this.#isStopping) await this.#sleep(FLUSH_INTERVAL_S * 1000);
  }

  /** Sleep without keeping the process alive. */
  async #sleep(ms: number): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    await delay(Math.min(ms, 2 ** 30), undefined, { ref: false, signal: wake.signal }).catch((error: Error) => {
      if (error.name !== "AbortError") throw error;
    });
    this.#wake = null;
  }

  #renewOwn(now: number): void {
    if (now < this.#renewAt) return;
    this.#renewAt = now + RENEW_S * 1000;
    for (const own of this.#own) own.renew();
  }

  async #deliverOnce(): Promise<void> {
    if (this.#flushes.length === 0 && performance.now() < this.#retryAt) return;
    if ((await this.#serveOwn()) && performance.now() >= this.#adoptAt) await this.adopt();
  }

  /** Deliver what this process recorded, and answer those who asked for that before. */
  async #serveOwn(): Promise<boolean> {
    const flushes = this.#flushes.splice(0);
    const isDelivered = await this.#attempt(() => this.#deliverOwn());
    for (const answer of flushes) answer(isDelivered);
    return isDelivered;
  }

  /** Do a part of the work; where the gateway or the disk is in the way, say so once and set when to try again. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Unavailable) {
        this.#failures += 1;
        this.#retryAt = performance.now() + backoffS(this.#failures, { retryAfterS: error.retryAfterS, jitter: Math.random() }) * 1000;
        this.#told.say(`Records wait in the spool: ${error.message}`);
        return false;
      }
      this.#retryAt = performance.now() + BACKOFF_S_MAX * 1000;
      this.#told.say(`The spool cannot be read or moved on; it is kept as it is: ${codeOf(error) ?? ""} ${(error as Error).message}`);
      return false;
    }
  }

  async #deliverOwn(): Promise<void> {
    for (const own of [...this.#own]) {
      const ended = own.hasEnded(); // asked before reading: nothing is recorded after it
      try {
        await this.#deliverBacklog(own, ended);
      } catch (error) {
        if (!(error instanceof Tampered)) throw error;
        this.#told.say(error.message);
        this.#forget(own);
        own.giveUp();
      }
    }
  }

  async #deliverBacklog(own: OwnBacklog, ended: boolean): Promise<void> {
    for (let batch = await own.backlog.nextBatch(this.#recordsMax); batch !== null; batch = await own.backlog.nextBatch(this.#recordsMax)) {
      if ((await this.#send(own.backlog, batch)) && batch.isAll && !ended) return;
    }
    if (!ended) return;
    this.#forget(own);
    own.backlog.discard();
  }

  #forget(own: OwnBacklog): void {
    this.#own = this.#own.filter((other) => other !== own);
  }

  async #adopt(): Promise<void> {
    this.#adoptAt = performance.now() + ADOPT_INTERVAL_S * 1000;
    for (const { root, destination } of this.#homes) {
      for (const claim of abandoned(root, destination)) {
        let backlog: SpoolBacklog;
        try {
          backlog = new SpoolBacklog(claim);
        } catch (error) {
          claim.ownership.release();
          this.#told.say(`A spool left behind cannot be read; it is kept as it is: ${(error as Error).message}`);
          continue;
        }
        await this.#deliverAdopted(backlog);
      }
    }
  }

  async #deliverAdopted(backlog: Backlog): Promise<void> {
    let isDone = false;
    try {
      while (!isDone && !this.#isStopping) {
        const batch = await backlog.nextBatch(this.#recordsMax);
        isDone = batch === null || ((await this.#send(backlog, batch)) && batch.isAll);
        if (!(await this.#serveOwn())) return;
      }
    } finally {
      if (isDone) backlog.discard();
      else backlog.release();
    }
  }

  /** Deliver one batch and acknowledge it, or return false for a smaller one. Throws `Unavailable` for a later try. */
  async #send(backlog: Backlog, batch: Batch): Promise<boolean> {
    let reply = await this.#link.deliver(this.#destination.projectId, batch);
    if (stepAfter(reply.status) === "split") {
      this.#recordsMax = Math.max(1, Math.floor(batch.lines.length / 2));
      if (batch.lines.length > 1) return false;
      this.#told.say(`The gateway takes no record of ${batch.lines[0].length} bytes; it is reported as lost: ${reply.detail}`);
      reply = await this.#link.deliver(this.#destination.projectId, withStandIn(batch));
    }
    if (stepAfter(reply.status) !== "go_on") throw refused(reply);
    this.#noteDelivered(batch, reply);
    backlog.acknowledge(batch);
    return true;
  }

  #noteDelivered(batch: Batch, { rejected }: DeliveryReply): void {
    this.#recordsMax = Math.min(BATCH_RECORDS_MAX, this.#recordsMax * 2);
    this.#failures = 0;
    this.#retryAt = 0;
    this.#told.allIsWell();
    const [first] = rejected;
    if (first === undefined) return;
    this.#told.say(
      `The gateway put ${rejected.length} of ${batch.lines.length} records into quarantine; the first, number ` +
        `${batch.firstSeq + first.line}: ${first.code} at ${first.path}: ${first.reason}`,
    );
  }
}

function withStandIn(batch: Batch): Batch {
  return { ...batch, lines: [standIn(batch.lines[0], "unencodable", idTime(batch.producerId))] };
}

function refused({ status, detail, retryAfterS }: DeliveryReply): Unavailable {
  const isHeld = ["hold", "split"].includes(stepAfter(status));
  let [fact, wayOut] = [`the gateway answered ${status}`, "its log says more"];
  if (status === 401 || status === 403) {
    [fact, wayOut] = [`the gateway refused the API key (${status}), nothing is dropped`, "expected a key that grants this project"];
  } else if (isHeld) fact = `the gateway does not understand this SDK (${status}), nothing is dropped`;
  return new Unavailable(`${fact}: ${detail || wayOut}`, { retryAfterS: isHeld ? BACKOFF_S_MAX : retryAfterS });
}
