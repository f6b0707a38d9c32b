/** What a client judges by and where it comes from: a file, or a server's bundle kept up to date. */

import { setTimeout as delay } from "node:timers/promises";
import { type Clock, now } from "./clock.js";
import { BundleRollbackError, BundleTamperError, ControlZeroError, Rejected, Tampered, Unavailable } from "./errors.js";
import type { Governed } from "./guarding.js";
import { Kept, type KeptBundle } from "./kept.js";
import { type BundleReply, type HttpLink, IS_IT_UP } from "./link.js";
import { Masking } from "./masking.js";
import { offlineKey } from "./offline-key.js";
import { parseOrders } from "./orders.js";
import { governedBy, governedByFile } from "./policy-files.js";
import type { BundleState } from "./records.js";
import type { Settings } from "./settings.js";
import { Told } from "./told.js";
import { type Trust, admit, parseKeyList } from "./trust.js";
import type { Vault } from "./vault.js";

export const START_S_MAX = 2; // how long a client waits for its first bundle
export const START_RETRY_S = 0.1; // a gateway that starts beside its agent answers a moment later
const CHANGE_WAIT_S = 25; // the gateway holds the question this long for a change; common proxies allow 30
const CHANGE_PAUSE_S = 0.1; // after a change: one seldom comes alone, and none is to be missed for long
const UNCONFIRMED_S_MAX = 60; // without an answer, from when on decisions say so: a gateway that starts again takes less
const POLL_S = 10; // between questions, where a gateway or a proxy does not hold them or gives no answer

/** What a client judges by, kept up to date. */
export interface Source {
  readonly governed: Governed;
  stop(): void;
}

/** A file's source: read once. Throws as `governedByFile` does. */
export class LocalSource implements Source {
  readonly governed: Governed;

  constructor(settings: Settings, vault: Vault) {
    this.governed = governedByFile(settings, vault);
  }

  stop(): void {}
}

/** A server's bundle: fetched, kept on disk for a start without the server, and followed in the background. */
export class ServedSource implements Source {
  readonly #settings: Settings;
  readonly #link: HttpLink;
  readonly #vault: Vault;
  readonly #clock: Clock;
  readonly #disk: Kept;
  readonly #told = new Told();
  readonly #stopping = new AbortController();
  #governed: Governed | null = null;
  #kept: KeptBundle | null = null;
  #trust: Trust | null = null;
  #signedUntil: number | null = null;
  #problem: ControlZeroError | null = null;
  #answeredAt = performance.now();

  constructor(settings: Settings, link: HttpLink, vault: Vault, clock: Clock = now) {
    this.#settings = settings;
    this.#link = link;
    this.#vault = vault;
    this.#clock = clock;
    this.#disk = new Kept(settings);
  }

  get governed(): Governed {
    if (this.#governed === null) throw new Error("there is no bundle yet: start() has not ended");
    return this.#governed;
  }

  /** Wait for the first bundle, fall back to the one kept on disk, else throw: `Unavailable`, or what is wrong. Then follow the server. */
  async start(): Promise<void> {
    const fallback = this.#disk.readBundle();
    this.#recall(fallback?.kept ?? null);
    const giveUpAt = performance.now() + START_S_MAX * 1000;
    let left: number;
    do {
      await withDeadline(this.#askOnce(), giveUpAt);
      left = giveUpAt - performance.now();
      if (this.#kept !== null || fallback !== null || !(this.#problem === null || this.#problem instanceof Unavailable)) break;
      await delay(Math.max(0, Math.min(START_RETRY_S * 1000, left)));
    } while (left > 0);
    if (this.#kept === null && fallback !== null) this.#fallBack(fallback);
    if (this.#kept === null) {
      this.stop();
      throw this.#problem ?? new Unavailable(`gateway ${this.#settings.baseUrl}: no answer within ${START_S_MAX} s; ${IS_IT_UP}`);
    }
    void this.#follow();
  }

  /** Stop following: whatever is judged from now on, no server confirms it. */
  stop(): void {
    this.#stopping.abort();
    this.#link.close();
    this.#markLeft();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const [askedAt, before] = [performance.now(), this.#standing];
      await this.#askOnce();
      const pauseS = this.#pauseS((performance.now() - askedAt) / 1000, this.#standing !== before);
      await delay(pauseS * 1000, undefined, { ref: false, signal }).catch(() => undefined); // stopped while it waits
    }
    this.#markLeft(); // an answer may have come after `stop`
  }

  #markLeft(): void {
    if (this.#governed?.bundleState === null) this.#mark("unconfirmed");
  }

  /** What is judged by, and how things stand with it. */
  get #standing(): string {
    return `${this.#kept?.etag} ${this.#governed?.bundleState}`;
  }

  #pauseS(tookS: number, hasChanged: boolean): number {
    if (hasChanged) return CHANGE_PAUSE_S;
    if (this.#problem === null && tookS > CHANGE_WAIT_S / 2) return 0;
    const askedFor = this.#problem instanceof Unavailable ? (this.#problem.retryAfterS ?? 0) : 0;
    return Math.max(askedFor, POLL_S * (0.5 + Math.random() / 2));
  }

  /** Ask for the bundle; note what is in the way, and have decisions say so. */
  async #askOnce(): Promise<void> {
    try {
      await this.#ask();
      this.#problem = null;
      this.#answeredAt = performance.now();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      // What nobody thought of must not end the host program either: it is asked again later.
      const problem = error instanceof ControlZeroError ? error : new Unavailable(`the bundle could not be read: ${String(error)}`, { cause: error });
      this.#problem = problem;
      if (this.#kept !== null) this.#told.say(`Judging by the bundle at hand: ${problem.message}`);
      const isLate = performance.now() - this.#answeredAt > UNCONFIRMED_S_MAX * 1000;
      if (!(problem instanceof Unavailable) || isLate) this.#mark(stateAfter(problem));
    }
  }

  async #ask(): Promise<void> {
    const kept = this.#kept;
    // What is not confirmed is asked about at once, and not only after the next change.
    const asked = { etag: kept?.etag ?? null, waitS: this.#governed?.bundleState === null ? CHANGE_WAIT_S : 0 };
    const reply = await this.#link.bundle(this.#settings.projectId, asked);
    const at = this.#clock();
    if (reply.status === 304 && kept !== null) {
      this.#confirm(at);
      return;
    }
    const fresh = keptOf(reply, this.#settings);
    const trust = this.#take(fresh, at);
    this.#onDisk("kept on disk, so a start without the gateway will fail", () => this.#disk.keep(fresh, trust, at));
  }

  #fallBack({ kept, confirmedAt }: { kept: KeptBundle; confirmedAt: number }): void {
    try {
      this.#take(kept, confirmedAt);
    } catch (error) {
      if (!(error instanceof ControlZeroError)) throw error;
      this.#told.say(`The bundle kept on disk cannot be used: ${error.message}`);
      if (this.#problem === null || error instanceof Tampered) this.#problem = error;
      return;
    }
    this.#mark(stateAfter(this.#problem));
    const why = this.#problem?.message ?? "no answer yet";
    this.#told.say(`The gateway gave no bundle to take (${why}); judging by the one kept on disk until it does.`);
  }

  /** Judge by another bundle from now on, if it may be taken. */
  #take(kept: KeptBundle, confirmedAt: number): Trust {
    const { bundle, trust } = this.#admitted(kept);
    const isSameKey = this.#governed !== null && this.#kept?.projectKey === kept.projectKey;
    const masking = isSameKey ? (this.#governed as Governed).masking : this.#masking(kept, bundle.projectId);
    const expiresAt = this.#expiresAt(bundle.expiresAt, confirmedAt);
    this.#governed = { ...governedBy(bundle, masking), expiresAt, orders: kept.orders };
    [this.#trust, this.#kept, this.#signedUntil] = [trust, kept, bundle.expiresAt];
    return trust;
  }

  #admitted(kept: KeptBundle): ReturnType<typeof admit> {
    const { signingKey, projectId } = this.#settings;
    return admit(kept.czpolicy, parseKeyList(kept.signingKey), this.#trust, { configured: parseKeyList(signingKey ?? "").keys, projectId });
  }

  /** The server says that the bundle at hand is in force. */
  #confirm(at: number): void {
    this.#mark(null);
    if (this.#settings.bundleAgeSMax === null) return;
    this.#governed = { ...this.governed, expiresAt: this.#expiresAt(this.#signedUntil, at) };
    this.#onDisk("dated on disk, so a start without the gateway takes it for older", () => this.#disk.confirm(at));
  }

  /** Have each decision from now on say how things stand with the bundle that judges it. */
  #mark(bundleState: BundleState | null): void {
    if (this.#governed !== null && this.#governed.bundleState !== bundleState) this.#governed = { ...this.#governed, bundleState };
  }

  /** Return when a bundle is past its age: by its own word, or so long after the server last confirmed it. */
  #expiresAt(signedUntil: number | null, confirmedAt: number): number | null {
    const { bundleAgeSMax } = this.#settings;
    if (bundleAgeSMax === null) return signedUntil;
    return Math.min(signedUntil ?? Number.POSITIVE_INFINITY, confirmedAt + bundleAgeSMax * 1e6);
  }

  #masking(kept: KeptBundle, projectId: string): Masking {
    const key = kept.projectKey === null ? offlineKey(this.#settings.spool, projectId, this.#told) : Buffer.from(kept.projectKey, "base64");
    return new Masking(key, this.#vault);
  }

  /** Know again what was trusted: from its own file, else from the bundle kept. Throws `BundleTamperError` for a changed file. */
  #recall(fallback: KeptBundle | null): void {
    try {
      this.#trust = this.#disk.readTrust();
    } catch (error) {
      if (error instanceof Tampered) throw error;
      this.#told.say(`What bundles were taken before cannot be read, so an older one could pass for newer: ${(error as Error).message}.`);
    }
    if (this.#trust !== null || fallback === null) return;
    try {
      this.#trust = this.#admitted(fallback).trust;
    } catch (error) {
      if (!(error instanceof ControlZeroError)) throw error; // it is told once the bundle is fallen back on
    }
  }

  #onDisk(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (error instanceof Tampered) throw error;
      this.#told.say(`The bundle cannot be ${what}: ${(error as Error).message}.`);
    }
  }
}

/** Return how things stand with the bundle at hand, after what was wrong with the one offered. */
function stateAfter(problem: ControlZeroError | null): BundleState {
  if (problem instanceof BundleRollbackError) return "rollback_refused";
  if (problem instanceof BundleTamperError) return "tampering_refused";
  return problem instanceof Tampered ? "signature_refused" : "unconfirmed";
}

/** Return the bundle a reply brings. Throws `Rejected` where asking again does not help, else `Unavailable`. */
function keptOf(reply: BundleReply, { baseUrl }: Settings): KeptBundle {
  const { status, detail, retryAfterS, czpolicy, etag, signingKey, endorsements, projectKey } = reply;
  const gateway = `gateway ${baseUrl}`;
  if (status === 401 || status === 403) {
    throw new Rejected(`${gateway}: the API key was refused (${status}): ${detail || "make one with `cz keys create`"}`);
  }
  if (status === 422) {
    throw new Rejected(`${gateway}: it cannot tell which bundle is meant (${status}): ${detail || "name the project in CONTROLZERO_PROJECT_ID"}`);
  }
  if (status === 404) throw new Unavailable(`${gateway}: no bundle yet: ${detail || "give the project a policy with `cz policy apply`"}`);
  if (status !== 200) throw new Unavailable(`${gateway}: answered ${status} for the bundle: ${detail || IS_IT_UP}`, { retryAfterS });
  if (signingKey === null) throw new Unavailable(`${gateway}: the bundle came without the key to verify it (CZ-Signing-Key); ${IS_IT_UP}`);
  if (projectKey !== null && Buffer.from(projectKey, "base64").length === 0) {
    throw new Unavailable(`${gateway}: the project's key (CZ-Project-Key) is not base64`);
  }
  try {
    const keys = [signingKey, endorsements].filter((each) => each !== null && each !== "").join(", ");
    return { czpolicy, signingKey: keys, etag, projectKey, orders: parseOrders(reply.orders) };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Unavailable(`${gateway}: ${error.message}`, { cause: error });
  }
}

/** Wait for something, but not beyond a time; the process stays alive that long. */
async function withDeadline(work: Promise<void>, giveUpAt: number): Promise<void> {
  const deadline = new AbortController();
  const late = delay(Math.max(0, giveUpAt - performance.now()), undefined, { signal: deadline.signal }).catch(() => undefined);
  await Promise.race([work, late]);
  deadline.abort();
}
