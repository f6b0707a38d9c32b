/** What a client is configured with: options first, then the environment; every problem at once. */

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Rejected } from "./errors.js";
import { meantOrKnown, unknownNames } from "./policy/near.js";
import { temporaryRoot } from "./recorder/folders.js";
import { SPOOL_BYTES_MAX } from "./recorder/spool.js";
import { MODES, type Mode } from "./records.js";

const BASE_URL = "http://127.0.0.1:8700";
const SPOOL = "~/.controlzero/spool";
const SPOOL_BYTES_MIN = 1024 * 1024; // below, a burst of an agent fills it
export const LOCAL_PROJECT = "default";

/** What an option may be given for; each has its variable, such as CONTROLZERO_API_KEY. */
export interface Given {
  readonly apiKey?: string;
  readonly projectId?: string;
  readonly baseUrl?: string;
  readonly agentId?: string;
  /** A policy in JSON, a `.czpolicy` bundle, or a folder with one per project: judge by it and ask nobody. */
  readonly policyFile?: string;
  /** Counts without a server only. */
  readonly mode?: Mode;
  /** Lines of `<key id>:<base64>`: the keys to trust before the first bundle. */
  readonly signingKey?: string;
  /** How old a bundle may be since the server last confirmed it; its own age counts in any case. */
  readonly bundleAgeSMax?: number;
  readonly environment?: string;
  /** The folder in which records wait for their delivery. */
  readonly spool?: string;
  readonly spoolBytesMax?: number;
}

const GIVEN = Object.keys({
  apiKey: true,
  projectId: true,
  baseUrl: true,
  agentId: true,
  policyFile: true,
  mode: true,
  signingKey: true,
  bundleAgeSMax: true,
  environment: true,
  spool: true,
  spoolBytesMax: true,
} satisfies Record<keyof Given, true>);

/** One client's settings. With `policyFile` it judges by that and asks nobody; else `apiKey` is there. */
export interface Settings {
  readonly apiKey: string | null;
  readonly baseUrl: string;
  readonly projectId: string | null;
  readonly policyFile: string | null;
  readonly mode: Mode | null;
  readonly agentId: string | null;
  readonly signingKey: string | null;
  readonly bundleAgeSMax: number | null;
  readonly environment: string | null;
  readonly spool: string;
  readonly spoolBytesMax: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Return the settings that options and the environment (CONTROLZERO_*) make; `others` are options that are no settings.
 * Throws `Rejected`.
 *
 * A policy file means no server, unless an API key and a base URL are configured too and no file was given as an option.
 */
export function readSettings(given: Given, others: readonly string[] = [], environment: Environment = process.env): Settings {
  const said = (option: keyof Given): string | null => {
    const value = given[option];
    return value !== undefined && value !== null ? String(value) : environment[variableOf(option)] || null;
  };
  const [apiKey, baseUrl, mode] = [said("apiKey"), said("baseUrl"), said("mode")];
  const hasServer = apiKey !== null && baseUrl !== null;
  const policyFile = given.policyFile === undefined && hasServer ? null : said("policyFile");
  const known = [...GIVEN, ...others];
  const problems = unknownNames(given, known).map((option) => `unknown option \`${option}\`: ${meantOrKnown(option, known)}`);
  if (policyFile === null && apiKey === null) {
    problems.push(
      "nothing to judge by: expected an API key (option `apiKey` or CONTROLZERO_API_KEY; `cz up` prints one) or a policy " +
        "(option `policyFile` or CONTROLZERO_POLICY_FILE)",
    );
  }
  if (apiKey !== null && !/^[!-~]+$/.test(apiKey)) {
    problems.push(
      "API key (option `apiKey` or CONTROLZERO_API_KEY): holds a space, a line break or another character that no key has; expected it " +
        "as `cz keys create` printed it", // it is not shown
    );
  }
  if (mode !== null && !MODES.includes(mode as Mode)) {
    problems.push(`mode \`${mode}\` (option \`mode\` or CONTROLZERO_MODE): expected one of ${MODES.join(", ")}`);
  }
  if (baseUrl !== null && !(/^https?:\/\//.test(baseUrl) && URL.canParse(baseUrl))) {
    problems.push(`base URL \`${baseUrl}\` (option \`baseUrl\` or CONTROLZERO_BASE_URL): expected http:// or https://`);
  }
  const delivery = environment.CONTROLZERO_DELIVERY || "http";
  if (delivery !== "http") problems.push(`delivery \`${delivery}\` (CONTROLZERO_DELIVERY): this SDK delivers over http alone`);
  const bundleAgeSMax = seconds(said("bundleAgeSMax"), problems);
  const spoolBytesMax = bytes(said("spoolBytesMax"), problems);
  if (problems.length > 0) throw new Rejected(`ControlZero: ${problems.join("; ")}`);
  return {
    apiKey: policyFile === null ? apiKey : null,
    baseUrl: (baseUrl ?? BASE_URL).replace(/\/+$/, ""),
    projectId: said("projectId"),
    policyFile: policyFile === null ? null : expanded(policyFile),
    mode: mode as Mode | null,
    agentId: said("agentId"),
    signingKey: said("signingKey"),
    bundleAgeSMax,
    environment: said("environment"),
    spool: folder(said("spool") ?? SPOOL),
    spoolBytesMax,
  };
}

function variableOf(option: string): string {
  return `CONTROLZERO_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function folder(path: string): string {
  return path.startsWith("~") && homedir() === "" ? temporaryRoot() : expanded(path);
}

function expanded(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : resolve(path);
}

function seconds(text: string | null, problems: string[]): number | null {
  if (text === null) return null;
  if (/^[0-9]+$/.test(text) && Number(text) > 0) return Number(text);
  problems.push(`age of a bundle \`${text}\` (option \`bundleAgeSMax\` or CONTROLZERO_BUNDLE_AGE_S_MAX): expected seconds, 1 or more`);
  return null;
}

function bytes(text: string | null, problems: string[]): number {
  if (text === null) return SPOOL_BYTES_MAX;
  if (/^[0-9]+$/.test(text) && Number(text) >= SPOOL_BYTES_MIN) return Number(text);
  problems.push(
    `spool limit \`${text}\` (option \`spoolBytesMax\` or CONTROLZERO_SPOOL_BYTES_MAX): expected ${SPOOL_BYTES_MIN.toLocaleString("en-US")} bytes or more`,
  );
  return SPOOL_BYTES_MAX;
}
