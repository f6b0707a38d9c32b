/** What a client judges by and where it comes from: a policy file, or a server's bundle kept up to date. */

import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, parse as parsePath } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Bundle, newer, parseKeys, verify } from "./bundle.js";
import { ControlZeroError, PolicyError, Rejected, Tampered, Unavailable } from "./errors.js";
import type { Governed } from "./guarding.js";
import { type BundleReply, type HttpLink, IS_IT_UP } from "./link.js";
import { Masking } from "./masking.js";
import { offlineKey } from "./offline-key.js";
import { type Order, parseOrders } from "./orders.js";
import { canonical } from "./policy/canonical.js";
import { CompiledPolicy } from "./policy/evaluate.js";
import { parseAll, parseText } from "./policy/parse.js";
import { asWritten } from "./policy/written.js";
import { MODES, type Mode } from "./records.js";
import { LOCAL_PROJECT, type Settings } from "./settings.js";
import { Told } from "./told.js";
import type { Vault } from "./vault.js";

export const START_S_MAX = 2; // how long a client waits for its first bundle
export const START_RETRY_S = 0.1; // a gateway that starts beside its agent answers a moment later
const CHANGE_WAIT_S = 25; // the gateway holds the question this long for a change; common proxies allow 30
const CHANGE_PAUSE_S = 0.1; // after a change: one seldom comes alone, and none is to be missed for long
const POLL_S = 10; // between questions, where a gateway or a proxy does not hold them or gives no answer

/** A bundle and what came with it, as it is kept on disk (0600: it holds the project's key). */
interface KeptBundle {
  readonly czpolicy: Buffer;
  readonly signingKey: string;
  readonly mode: Mode | null;
  readonly etag: string | null;
  readonly projectKey: string | null;
  readonly orders: readonly Order[];
}

/** What a client judges by, kept up to date. */
export interface Source {
  readonly governed: Governed;
  stop(): void;
}

/** A policy file's source: read once. Throws `PolicyError` with all its problems, `Rejected` where there is none. */
export class LocalSource implements Source {
  readonly governed: Governed;

  constructor(settings: Settings, vault: Vault) {
    const path = policyPath(settings);
    const policy = parseText(readFileSync(path, "utf-8"), parsePath(path).name);
    const projectId = settings.projectId ?? LOCAL_PROJECT;
    this.governed = {
      compiled: new CompiledPolicy([policy]),
      masking: new Masking(offlineKey(settings.spool, projectId, new Told()), vault),
      projectId,
      mode: settings.mode ?? "enforce",
      bundleDigest: createHash("sha256").update(canonical([asWritten(policy)])).digest("hex"),
      expiresAt: null,
      onStale: "keep",
      onUnrecordable: "go_on",
      orders: [],
    };
  }

  stop(): void {}
}

/** A server's bundle: fetched, kept on disk for a start without the server, and followed in the background. */
export class ServedSource implements Source {
  readonly #settings: Settings;
  readonly #link: HttpLink;
  readonly #vault: Vault;
  readonly #told = new Told();
  readonly #stopping = new AbortController();
  #governed: Governed | null = null;
  #bundle: Bundle | null = null;
  #kept: KeptBundle | null = null;
  #problem: ControlZeroError | null = null;

  constructor(settings: Settings, link: HttpLink, vault: Vault) {
    this.#settings = settings;
    this.#link = link;
    this.#vault = vault;
  }

  get governed(): Governed {
    if (this.#governed === null) throw new Error("there is no bundle yet: start() has not ended");
    return this.#governed;
  }

  /** Wait for the first bundle, fall back to the one kept on disk, else throw: `Unavailable`, or what is wrong. Then follow the server. */
  async start(): Promise<void> {
    const fallback = readKept(this.#path);
    const giveUpAt = performance.now() + START_S_MAX * 1000;
    for (;;) {
      await withDeadline(this.#askOnce(fallback), giveUpAt);
      const isSettled = this.#kept !== null || (this.#problem !== null && !(this.#problem instanceof Unavailable));
      const left = giveUpAt - performance.now();
      if (isSettled || (fallback !== null && this.#problem !== null) || left <= 0) break;
      await delay(Math.min(START_RETRY_S * 1000, left));
    }
    if (this.#kept === null && fallback !== null && !(this.#problem instanceof Tampered)) this.#fallBack(fallback);
    if (this.#kept === null) {
      this.stop();
      throw this.#problem ?? new Unavailable(`gateway ${this.#settings.baseUrl}: no answer within ${START_S_MAX} s; ${IS_IT_UP}`);
    }
    void this.#follow();
  }

  stop(): void {
    this.#stopping.abort();
    this.#link.close();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const [askedAt, before] = [performance.now(), this.#kept?.etag];
      await this.#askOnce(null);
      const pauseS = this.#pauseS((performance.now() - askedAt) / 1000, this.#kept?.etag !== before);
      await delay(pauseS * 1000, undefined, { ref: false, signal }).catch(() => undefined); // stopped while it waits
    }
  }

  #pauseS(tookS: number, hasChanged: boolean): number {
    if (hasChanged) return CHANGE_PAUSE_S;
    if (this.#problem === null && tookS > CHANGE_WAIT_S / 2) return 0;
    const askedFor = this.#problem instanceof Unavailable ? (this.#problem.retryAfterS ?? 0) : 0;
    return Math.max(askedFor, POLL_S * (0.5 + Math.random() / 2));
  }

  /** Ask for the bundle, and note what was in the way. `floor` is what was trusted before this start. */
  async #askOnce(floor: KeptBundle | null): Promise<void> {
    try {
      await this.#ask(floor);
      this.#problem = null;
    } catch (error) {
      if (!(error instanceof ControlZeroError)) throw error;
      this.#problem = error;
      if (this.#kept !== null && !this.#stopping.signal.aborted) this.#told.say(`Judging by the bundle at hand: ${error.message}`);
    }
  }

  async #ask(floor: KeptBundle | null): Promise<void> {
    const kept = this.#kept;
    const reply = await this.#link.bundle(this.#settings.projectId, { etag: kept?.etag ?? null, waitS: kept === null ? 0 : CHANGE_WAIT_S });
    if (this.#stopping.signal.aborted) return;
    if (reply.status === 304 && kept !== null) {
      if (isMode(reply.mode) && reply.mode !== kept.mode) this.#take({ ...kept, mode: reply.mode }, null);
      return;
    }
    const fresh = keptOf(reply, this.#settings);
    this.#take(fresh, floor);
    writeKept(this.#path, fresh, this.#told);
  }

  #fallBack(kept: KeptBundle): void {
    const why = this.#problem?.message ?? "no answer yet";
    try {
      this.#take(kept, null);
      this.#told.say(`The gateway gave no bundle (${why}); judging by the one kept on disk until it does.`);
    } catch (error) {
      if (!(error instanceof ControlZeroError)) throw error;
      this.#told.say(`The bundle kept on disk cannot be used: ${error.message}`);
    }
  }

  /** Judge by another bundle from now on, if it is whole, signed and not an older one. */
  #take(kept: KeptBundle, floor: KeptBundle | null): void {
    const trusted = parseKeys(kept.signingKey);
    const offered = verify(kept.czpolicy, trusted);
    const bundle = newer(this.#bundle ?? trustedBefore(floor, trusted), offered);
    const masking = this.#governed !== null && this.#kept?.projectKey === kept.projectKey ? this.#governed.masking : this.#masking(kept, bundle.projectId);
    this.#governed = {
      compiled: new CompiledPolicy(parseAll(bundle.policies), { reads: bundle.reads }),
      masking,
      projectId: bundle.projectId,
      mode: kept.mode ?? bundle.mode,
      bundleDigest: bundle.digest,
      expiresAt: bundle.expiresAt,
      onStale: bundle.onStale,
      onUnrecordable: bundle.onUnrecordable,
      orders: kept.orders,
    };
    [this.#bundle, this.#kept] = [bundle, kept];
  }

  #masking(kept: KeptBundle, projectId: string): Masking {
    const key = kept.projectKey === null ? offlineKey(this.#settings.spool, projectId, this.#told) : Buffer.from(kept.projectKey, "base64");
    return new Masking(key, this.#vault);
  }

  get #path(): string {
    const { baseUrl, projectId, apiKey, spool } = this.#settings;
    const name = createHash("sha256").update(`node\n${baseUrl}\n${projectId ?? apiKey}`).digest("hex").slice(0, 32);
    return join(spool, "bundles", name);
  }
}

/** Return the bundle trusted before this start, null where none was, or where the server has another key: it is another server then. */
function trustedBefore(floor: KeptBundle | null, trusted: ReadonlyMap<string, Buffer>): Bundle | null {
  try {
    return floor === null ? null : verify(floor.czpolicy, trusted);
  } catch (error) {
    if (!(error instanceof Tampered)) throw error;
    return null;
  }
}

/** Return the bundle a reply brings. Throws `Rejected` where asking again does not help, else `Unavailable`. */
function keptOf(reply: BundleReply, { baseUrl }: Settings): KeptBundle {
  const { status, detail, retryAfterS, signingKey, projectKey } = reply;
  const gateway = `gateway ${baseUrl}`;
  if (status === 401 || status === 403) {
    throw new Rejected(`${gateway}: the API key was refused (${status}): ${detail || "make one with `cz keys create`"}`);
  }
  if (status === 404) throw new Unavailable(`${gateway}: no bundle yet: ${detail || "give the project a policy with `cz policy apply`"}`);
  if (status !== 200) throw new Unavailable(`${gateway}: answered ${status} for the bundle: ${detail || IS_IT_UP}`, { retryAfterS });
  if (signingKey === null) throw new Unavailable(`${gateway}: the bundle came without the key to verify it (CZ-Signing-Key); ${IS_IT_UP}`);
  if (projectKey !== null && Buffer.from(projectKey, "base64").length === 0) {
    throw new Unavailable(`${gateway}: the project's key (CZ-Project-Key) is not base64`);
  }
  try {
    const orders = parseOrders(reply.orders);
    return { czpolicy: reply.czpolicy, signingKey, mode: isMode(reply.mode) ? reply.mode : null, etag: reply.etag, projectKey, orders };
  } catch (error) {
    throw new Unavailable(`${gateway}: ${(error as Error).message}`, { cause: error });
  }
}

function isMode(mode: string | null): mode is Mode {
  return MODES.includes(mode as Mode);
}

function readKept(path: string): KeptBundle | null {
  try {
    const kept = JSON.parse(readFileSync(path, "utf-8")) as Omit<KeptBundle, "czpolicy"> & { czpolicy: string };
    return { ...kept, czpolicy: Buffer.from(kept.czpolicy, "base64") };
  } catch {
    return null; // there is none, or it cannot be read: then there is nothing to fall back to
  }
}

function writeKept(path: string, kept: KeptBundle, told: Told): void {
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    mkdirSync(dirname(path), { mode: 0o700, recursive: true });
    writeFileSync(draft, JSON.stringify({ ...kept, czpolicy: kept.czpolicy.toString("base64") }), { mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    told.say(`The bundle cannot be kept on disk, so a start without the gateway will fail: ${(error as Error).message}.`);
  }
}

/** Wait for something, but not beyond a time; the process stays alive that long. */
async function withDeadline(work: Promise<void>, giveUpAt: number): Promise<void> {
  const deadline = new AbortController();
  const late = delay(Math.max(0, giveUpAt - performance.now()), undefined, { signal: deadline.signal }).catch(() => undefined);
  await Promise.race([work, late]);
  deadline.abort();
}

/** Return the policy file, in a folder the one named after the project. Throws `Rejected` where it is not there. */
function policyPath({ policyFile, projectId }: Settings): string {
  const given = policyFile as string;
  if (!existsSync(given)) throw new Rejected(`policy file \`${given}\`: there is none; expected a policy in JSON, or a folder with one per project`);
  const path = statSync(given).isDirectory() ? inFolder(given, projectId) : given;
  if (/\.ya?ml$/i.test(path)) {
    throw new PolicyError(parsePath(path).name, [{ path: "", message: "a policy in YAML; this SDK reads JSON, which `cz policy fmt` writes" }]);
  }
  return path;
}

function inFolder(folder: string, projectId: string | null): string {
  if (projectId === null) {
    throw new Rejected(`policy folder \`${folder}\`: which project? Expected CONTROLZERO_PROJECT_ID, whose policy is \`<project id>.json\``);
  }
  const path = join(folder, `${projectId}.json`);
  if (dirname(path) === folder && existsSync(path)) return path;
  const there = readdirSync(folder).filter((name) => name.endsWith(".json"));
  throw new Rejected(`policy folder \`${folder}\`: no \`${projectId}.json\`; there is ${there.sort().join(", ") || "none"}`);
}
