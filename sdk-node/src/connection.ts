/** What clients of one process share: one source, one recorder and one vault for each server, project and key. */

import { setTimeout as delay } from "node:timers/promises";
import { type Clock, now } from "./clock.js";
import { Rejected, Unavailable } from "./errors.js";
import { newId } from "./ids.js";
import { HttpLink, IS_IT_UP, type SessionReply } from "./link.js";
import { Recorder } from "./recorder/recording.js";
import type { Settings } from "./settings.js";
import { LocalSource, START_RETRY_S, START_S_MAX, ServedSource, type Source } from "./source.js";
import { Vault } from "./vault.js";

/** A source and the recorder that goes with it, for all clients of a server that are configured alike. */
export interface Connection {
  readonly source: Source;
  readonly recorder: Recorder;
  readonly vault: Vault;
  /** Hold the project's secrets for one more client, asking the server if nobody did. */
  openSecrets(): Promise<void>;
  /** Leave it; the last one ends the producer. False where records wait to be adopted. */
  close(timeoutS: number, options: { hasSecrets: boolean }): Promise<boolean>;
}

interface Shared {
  users: number;
  readonly opening: Promise<Connection>;
}

const OPEN = new Map<string, Shared>();

/** Return the connection for these settings: a client per request must not mean a producer per request. Throws where there is nothing to judge by. */
export async function openConnection(settings: Settings): Promise<Connection> {
  const key = JSON.stringify({ ...settings, agentId: null, environment: null, own: settings.apiKey === null ? newId(now()) : null });
  const shared: Shared = OPEN.get(key) ?? { users: 0, opening: opened(settings, now, () => leave(key)) };
  OPEN.set(key, shared);
  shared.users += 1;
  try {
    return await shared.opening;
  } catch (error) {
    leave(key);
    throw error;
  }
}

/** Leave a connection; say whether that was the last one. */
function leave(key: string): boolean {
  const shared = OPEN.get(key);
  if (shared === undefined) return true;
  shared.users -= 1;
  if (shared.users === 0) OPEN.delete(key);
  return shared.users === 0;
}

async function opened(settings: Settings, clock: Clock, leaveIt: () => boolean): Promise<Connection> {
  const { apiKey, baseUrl, spool, spoolBytesMax } = settings;
  const vault = new Vault();
  const source = await sourceOf(settings, vault);
  const { projectId } = source.governed;
  const recorder = new Recorder({
    destination: { projectId, baseUrl: apiKey === null ? null : baseUrl },
    root: spool,
    apiKey,
    bytesMax: spoolBytesMax,
    clock,
    newId,
  });
  let secretUsers = 0;
  return {
    source,
    recorder,
    vault,
    openSecrets: async () => {
      if (secretUsers === 0) vault.fill(await secretsOf(settings, projectId));
      secretUsers += 1;
      source.governed.masking.forgetClean();
    },
    close: async (timeoutS, { hasSecrets }) => {
      if (hasSecrets && --secretUsers === 0) vault.wipe();
      if (!leaveIt()) return true;
      source.stop();
      return await recorder.close(timeoutS);
    },
  };
}

async function sourceOf(settings: Settings, vault: Vault): Promise<Source> {
  if (settings.apiKey === null) return new LocalSource(settings, vault);
  const source = new ServedSource(settings, new HttpLink(settings.baseUrl, settings.apiKey), vault);
  await source.start();
  return source;
}

/** Ask the server for the secrets the key may read. Throws `Rejected` or `Unavailable`. */
async function secretsOf({ apiKey, baseUrl }: Settings, projectId: string): Promise<Readonly<Record<string, string>>> {
  if (apiKey === null) {
    throw new Rejected("session: secrets come from a server, and this client judges by a policy file; expected an API key");
  }
  const link = new HttpLink(baseUrl, apiKey);
  const giveUp = setTimeout(() => undefined, START_S_MAX * 2_000); // waiting for an answer keeps the process alive
  const giveUpAt = performance.now() + START_S_MAX * 1_000;
  try {
    for (;;) {
      try {
        return secretsIn(await link.session(projectId, { timeoutS: START_S_MAX }), baseUrl);
      } catch (error) {
        if (!(error instanceof Unavailable) || performance.now() > giveUpAt) throw error;
      }
      await delay(START_RETRY_S * 1_000);
    }
  } finally {
    clearTimeout(giveUp);
    link.close();
  }
}

function secretsIn({ status, detail, retryAfterS, secrets, mayReadSecrets }: SessionReply, baseUrl: string): Readonly<Record<string, string>> {
  if (status === 401 || status === 403) {
    throw new Rejected(`gateway ${baseUrl}: the API key may not read the session (${status}): ${detail || "make another with `cz keys create`"}`);
  }
  if (!mayReadSecrets) throw new Rejected(`gateway ${baseUrl}: the API key may not read secrets; expected one with the scope \`secrets:read\``);
  if (status !== 200) throw new Unavailable(`gateway ${baseUrl}: answered ${status} for the session: ${detail || IS_IT_UP}`, { retryAfterS });
  if (secrets === null) throw new Unavailable(`gateway ${baseUrl}: the session is not what this SDK reads; update the older of the two`);
  return secrets;
}
