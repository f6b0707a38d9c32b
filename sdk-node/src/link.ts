/** The way to the gateway over HTTP: one request, one reply, and what the reply asks for. */

import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Unavailable, codeOf } from "./errors.js";
import type { Batch } from "./recorder/backlog.js";
import { SCHEMA_VERSION } from "./records.js";
import { SDK } from "./version.js";

const TIMEOUT_S = 10; // a gateway answers in milliseconds; a proxy in between may hold a connection open
const ANSWER_BYTES_MAX = 8 * 1024 * 1024; // a bundle has at most half of it
const BACKOFF_S_FIRST = 0.25;
export const BACKOFF_S_MAX = 30;
const RETRY_AFTER_S_MAX = 300; // a gateway may ask for more patience, within reason
const HEADERS_BYTES_MAX = 1024 * 1024; // the orders of a project stand in one: Node's own limit of 16 KiB is some 100 of them
const GZIP_LEVEL = 1; // records are alike: more effort saves little
export const IS_IT_UP = "is it up (`cz up`), and is this its address (CONTROLZERO_BASE_URL)?";

export type Step = "go_on" | "split" | "again" | "hold";

/** A line of a batch that the gateway put into quarantine. */
export interface RejectedLine {
  readonly line: number;
  readonly code: string;
  readonly path: string;
  readonly reason: string;
}

/** The gateway's answer, as far as anybody acts on it. */
export interface Reply {
  readonly status: number;
  readonly detail: string;
  readonly retryAfterS: number | null;
}

export interface DeliveryReply extends Reply {
  readonly rejected: readonly RejectedLine[];
}

export interface BundleReply extends Reply {
  readonly czpolicy: Buffer;
  readonly etag: string | null;
  readonly signingKey: string | null;
  readonly projectKey: string | null;
  readonly endorsements: string | null;
  readonly orders: string | null;
}

/** `secrets` is null where the answer is no session. */
export interface SessionReply extends Reply {
  readonly mayReadSecrets: boolean;
  readonly secrets: Readonly<Record<string, string>> | null;
}

interface Asked {
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly timeoutS?: number;
}

interface Answer {
  readonly message: IncomingMessage;
  readonly body: Buffer;
  readonly status: number;
}

/**
 * Say what a reply asks for.
 *
 * `hold` keeps the batch and tries again slowly: the key was refused or this gateway does not understand us. A person
 * can cure both, and dropping the batch would be a silent loss.
 */
export function stepAfter(status: number): Step {
  if (status === 202) return "go_on";
  if (status === 413) return "split";
  return [408, 425, 429].includes(status) || status >= 500 ? "again" : "hold";
}

/**
 * Return how long to wait after the `failures`-th failure in a row: exponential with jitter (AWS, 2015).
 *
 * `jitter` is in [0, 1). Half of the delay is kept, so that a fleet neither hammers nor sleeps in step.
 */
export function backoffS(failures: number, { retryAfterS, jitter }: { retryAfterS: number | null; jitter: number }): number {
  const delayS = Math.min(BACKOFF_S_MAX, BACKOFF_S_FIRST * 2 ** Math.min(failures - 1, 16)) * (0.5 + jitter / 2);
  return Math.max(delayS, Math.min(retryAfterS ?? 0, RETRY_AFTER_S_MAX));
}

/** A connection to one gateway with one API key. It does not keep the process alive: who waits for an answer does. */
export class HttpLink {
  readonly #baseUrl: string;
  readonly #apiKey: string;
  readonly #agent: HttpAgent;

  constructor(baseUrl: string, apiKey: string) {
    this.#baseUrl = baseUrl;
    this.#apiKey = apiKey;
    this.#agent = baseUrl.startsWith("https:") ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  }

  /** Post one batch. Throws `Unavailable` where no answer comes. */
  async deliver(projectId: string, batch: Batch): Promise<DeliveryReply> {
    const end = Buffer.from("\n");
    const answer = await this.#ask("POST", "/v1/decisions", {
      headers: {
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        "CZ-Project": projectId,
        "CZ-Producer": batch.producerId,
        "CZ-First-Seq": String(batch.firstSeq),
        "CZ-Total": String(batch.firstSeq + batch.lines.length),
        "CZ-Schema-Version": String(SCHEMA_VERSION),
        ...(batch.closes ? { "CZ-Closed": "1" } : {}),
      },
      body: await promisify(gzip)(Buffer.concat(batch.lines.flatMap((line) => [line, end])), { level: GZIP_LEVEL }),
    });
    return { ...replyOf(answer), rejected: answer.status === 202 ? rejectedOf(answer.body) : [] };
  }

  /** Ask for the bundle, unless it is still the one of `etag`; let the gateway wait `waitS` for another. Throws `Unavailable` where no answer comes. */
  async bundle(projectId: string | null, { etag, waitS }: { etag: string | null; waitS: number }): Promise<BundleReply> {
    const answer = await this.#ask("GET", "/v1/bundle", {
      query: { ...(projectId === null ? {} : { project_id: projectId }), ...(waitS > 0 ? { wait_s: String(waitS) } : {}) },
      headers: etag === null ? {} : { "If-None-Match": etag },
      timeoutS: TIMEOUT_S + waitS,
    });
    const header = (name: string) => (answer.message.headers[name] as string | undefined) ?? null;
    return {
      ...replyOf(answer),
      czpolicy: answer.body,
      etag: header("etag"),
      signingKey: header("cz-signing-key"),
      projectKey: header("cz-project-key"),
      endorsements: header("cz-signing-key-endorsements"),
      orders: header("cz-orders"),
    };
  }

  /** Ask for the secrets that the key may read. Throws `Unavailable` where no answer comes. */
  async session(projectId: string | null, { timeoutS }: { timeoutS: number }): Promise<SessionReply> {
    const query = { secrets: "1", ...(projectId === null ? {} : { project_id: projectId }) };
    const answer = await this.#ask("GET", "/v1/session", { query, timeoutS });
    const mayReadSecrets = answer.message.headers["cz-secrets"] !== "scope-missing";
    return { ...replyOf(answer), mayReadSecrets, secrets: answer.status === 200 ? secretsOf(answer.body) : null };
  }

  /** Close the connections; the next request opens another. */
  close(): void {
    this.#agent.destroy();
  }

  async #ask(method: string, path: string, asked: Asked): Promise<Answer> {
    try {
      return await this.#attempt(method, path, asked, { isSecond: false });
    } catch (error) {
      throw new Unavailable(`gateway ${this.#baseUrl}: no answer to ${method} ${path}: ${reasonOf(error)}; ${IS_IT_UP}`, { cause: error });
    }
  }

  #attempt(method: string, path: string, asked: Asked, { isSecond }: { isSecond: boolean }): Promise<Answer> {
    const { query = {}, headers = {}, body, timeoutS = TIMEOUT_S } = asked;
    const url = new URL(`${this.#baseUrl}${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return new Promise((resolve, reject) => {
      const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
        method,
        agent: this.#agent,
        maxHeaderSize: HEADERS_BYTES_MAX,
        headers: {
          Authorization: `Bearer ${this.#apiKey}`,
          "User-Agent": SDK,
          ...(body === undefined ? {} : { "Content-Length": String(body.length) }),
          ...headers,
        },
      });
      const giveUp = setTimeout(() => request.destroy(new Error(`nothing within ${timeoutS} s`)), timeoutS * 1000).unref();
      const fail = (error: Error) => {
        clearTimeout(giveUp);
        // The gateway closed a connection that was kept for later, just as it was used: the request never reached it.
        if (request.reusedSocket && !isSecond && codeOf(error) === "ECONNRESET") resolve(this.#attempt(method, path, asked, { isSecond: true }));
        else reject(error);
      };
      request.on("socket", (socket) => socket.unref());
      request.on("error", fail);
      request.on("response", (message) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        message.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES_MAX) request.destroy(new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`));
        });
        message.on("error", fail);
        message.on("end", () => {
          clearTimeout(giveUp);
          resolve({ message, body: Buffer.concat(chunks), status: message.statusCode ?? 0 });
        });
      });
      request.end(body);
    });
  }
}

/** Say why no answer came: the system's code and its words, of which either may lack the other. */
function reasonOf(error: unknown): string {
  const [code = "", { message }] = [codeOf(error), error as Error];
  if (message.includes("wrong version number")) return "what answers there speaks no TLS, expected an address with http://";
  return message.includes(code) ? message : [code, message].filter((each) => each !== "").join(": ");
}

function replyOf({ message, body, status }: Answer): Reply {
  const retryAfter = message.headers["retry-after"] ?? "";
  return { status, detail: status < 400 ? "" : detailOf(body), retryAfterS: /^[0-9]+$/.test(retryAfter) ? Number(retryAfter) : null };
}

/** Return what a problem+json answer says, else the start of the text; it is told to a person. */
function detailOf(body: Buffer): string {
  const { detail, title } = memberOf(body);
  return (typeof detail === "string" && detail) || (typeof title === "string" && title) || body.toString("utf-8", 0, 200);
}

function rejectedOf(body: Buffer): RejectedLine[] {
  const { rejected } = memberOf(body);
  return Array.isArray(rejected) ? (rejected as RejectedLine[]) : [];
}

/** Read a session; what cannot be read is not told: it may hold secrets. */
function secretsOf(body: Buffer): Record<string, string> | null {
  const { project_id: projectId, secrets = {} } = memberOf(body);
  if (typeof projectId !== "string" || typeof secrets !== "object" || secrets === null) return null;
  return Object.values(secrets).every((secret) => typeof secret === "string") ? (secrets as Record<string, string>) : null;
}

function memberOf(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // no JSON: it says nothing
  }
}
