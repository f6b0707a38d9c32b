/** A gateway as far as an agent can tell: it serves one project's bundle and keeps what is posted. */

import { type KeyObject, createHash, generateKeyPairSync, sign } from "node:crypto";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { asJson } from "../src/json.js";
import { canonical } from "../src/policy/canonical.js";

export const PROJECT_KEY = Buffer.from("a key for tests, never for data!");
export const API_KEY = "cz_test_key";
export const NO_ANSWER = 0; // among the answers: the connection stays open, and nothing comes
export const LOST_ANSWER = 1; // what was posted is kept, and the connection breaks before the answer

export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly lines: readonly Record<string, unknown>[];
}

interface Signer {
  readonly id: string;
  readonly publicKey: Buffer;
  readonly privateKey: KeyObject;
}

/** The double, on a port of its own. `answers` are statuses to give to deliveries before any other. */
export class GatewayDouble {
  readonly deliveries: Delivery[] = [];
  asked = 0; // how often something was posted, whatever was answered
  readonly answers: number[] = [];
  secrets: Record<string, string> | null = {};
  orders: object[] = [];
  czpolicy: Buffer = Buffer.alloc(0);
  signers: Signer[] = [aSigner()];
  endorsements: string[] = [];
  linesMax = Number.POSITIVE_INFINITY; // of a delivery; more is a 413
  isAway = false;
  wantsProject = false; // as of a key that grants several
  version = 0;
  #server: Server;
  #waiting: (() => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(policy: object, settings: object = {}): Promise<GatewayDouble> {
    const double = new GatewayDouble();
    await new Promise<void>((resolve) => double.#server.listen(0, "127.0.0.1", resolve));
    double.putPolicy(policy, settings);
    return double;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Put another version of the policy in force; `settings` are fields of the bundle. */
  putPolicy(policy: object, settings: object = {}): void {
    this.version += 1;
    this.czpolicy = czpolicyOf({ version: this.version, policies: [{ name: "p", ...policy }], ...settings }, this.signers[0]);
    this.changed();
  }

  putOrders(...orders: object[]): void {
    this.orders = orders;
    this.changed();
  }

  changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Return all records, in the order in which they came. */
  records(kind?: string): Record<string, unknown>[] {
    return this.deliveries.flatMap(({ lines }) => lines).filter((line) => kind === undefined || line.kind === kind);
  }

  async stop(): Promise<void> {
    this.changed();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? "/", this.url);
    if (this.isAway) request.socket.destroy();
    else if (request.headers.authorization !== `Bearer ${API_KEY}`) problem(response, 401, "Unknown API key");
    else if (this.wantsProject && !request.headers["cz-project"] && !url.searchParams.has("project_id")) problem(response, 422, "No project is named");
    else if (url.pathname === "/v1/bundle") await this.#bundle(request, response, Number(url.searchParams.get("wait_s") ?? 0));
    else if (url.pathname === "/v1/session") this.#session(response);
    else this.#take(request, response, Buffer.concat(chunks));
  }

  async #bundle(request: IncomingMessage, response: ServerResponse, waitS: number): Promise<void> {
    const known = request.headers["if-none-match"];
    if (known === this.#etag && waitS > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const isKnown = known === this.#etag;
    response.writeHead(isKnown ? 304 : 200, {
      ETag: this.#etag,
      "CZ-Signing-Key": this.signers.map(keyText).join(", "),
      ...(this.endorsements.length > 0 ? { "CZ-Signing-Key-Endorsements": this.endorsements.join(", ") } : {}),
      "CZ-Project-Key": PROJECT_KEY.toString("base64"),
      ...(this.orders.length > 0 ? { "CZ-Orders": Buffer.from(JSON.stringify(this.orders)).toString("base64") } : {}),
    });
    response.end(isKnown ? undefined : this.czpolicy);
  }

  get #etag(): string {
    return `"${sha256(Buffer.concat([this.czpolicy, Buffer.from(JSON.stringify(this.orders))]))}"`;
  }

  #session(response: ServerResponse): void {
    if (this.secrets === null) response.setHeader("CZ-Secrets", "scope-missing");
    response.end(JSON.stringify({ project_id: "default", tools: [], secrets: this.secrets ?? {} }));
  }

  #take(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    this.asked += 1;
    const status = this.answers.shift() ?? 202;
    const text = gunzipSync(body).toString();
    const lines = text.split("\n").slice(0, -1);
    if (status === NO_ANSWER) return;
    if (status > LOST_ANSWER && status !== 202) problem(response, status, `a scripted ${status}`);
    else if (lines.length > this.linesMax) problem(response, 413, "too many lines");
    else {
      const headers = request.headers as Record<string, string>;
      this.deliveries.push({ headers, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) });
      if (status === LOST_ANSWER) request.socket.destroy();
      else response.writeHead(202).end(JSON.stringify({ accepted: lines.length, rejected: [], received_at: 1 }));
    }
  }
}

export function aSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { id: sha256(raw).slice(0, 16), publicKey: raw, privateKey };
}

export function keyText({ id, publicKey }: Signer): string {
  return `${id}:${publicKey.toString("base64")}`;
}

/** Return the word of one signer for the key of another. */
export function endorsementText(by: Signer, next: Signer): string {
  const sig = sign(null, Buffer.concat([Buffer.from("controlzero signing key\n"), next.publicKey]), by.privateKey);
  return `${by.id}>${next.id}:${sig.toString("base64")}`;
}

/** Return a signed bundle; `changes` are fields of it. */
export function czpolicyOf(changes: object, signer: Signer): Buffer {
  const payload = canonical(
    asJson({
      format: "czpolicy/1",
      project_id: "default",
      version: 1,
      issued_at: 1,
      expires_at: null,
      mode: "enforce",
      on_stale: "keep",
      on_unrecordable: "go_on",
      policies: [],
      policy_digest: "",
      reads: [],
      ...changes,
    }),
  );
  const sig = sign(null, Buffer.from(payload), signer.privateKey).toString("base64");
  const frame = framed(Buffer.from(JSON.stringify({ payload, signatures: [{ key_id: signer.id, sig }] })));
  const digest = createHash("sha256").update(frame).digest();
  return Buffer.concat([frame, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 32, 0, 0, 0]), digest]);
}

/** Return a zstd frame of one block as it stands: all of the format that a test must write. */
function framed(content: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(0xfd2fb528, 0);
  head.writeUInt8(0xa0, 4);
  head.writeUInt32LE(content.length, 5);
  head.writeUIntLE(content.length * 8 + 1, 9, 3);
  return Buffer.concat([head, content]);
}

function problem(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ title: detail, status, detail }));
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
