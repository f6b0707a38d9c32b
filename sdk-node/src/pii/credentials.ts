/** Checks for secrets: private keys, JSON Web Tokens, keys of AWS, GitHub and OpenAI. */

import { type Found, isAlnum } from "./checks.js";

const PRIVATE_KEY_CHARS_MAX = 32_768; // an RSA key of 16,384 bits has 13 KB; past it no END belongs to this BEGIN
const KEY_END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/;
const KEY_BODY = /^(?:[0-9A-Za-z+/=,: \t\n\v\f\r-]|\\+[nr])*/;
const DISTINCT_MIN = 8; // random keys have more different characters; xxxx and **** have fewer
const JWT_HEADER_CHARS_MAX = 8_192;
const JWT_PART = /[0-9A-Za-z_-]*/y;
const JWT_TAIL = /[0-9A-Za-z_.-]*/y;
const JWT_START_CHARS = 11; // eyJ and eight more
const JWT_PART_CHARS_MIN = 8;
const LEAD = /(?:^|[^0-9A-Za-z]|\\[bfnrt]|\\u[0-9A-Fa-f]{4})$/;

/** Accept a PEM block from BEGIN to END; where the END is cut off, as far as it reads like a key. */
export function checkPrivateKey(data: string, start: number, end: number): Found | null {
  const rest = data.slice(end, end + PRIVATE_KEY_CHARS_MAX);
  const following = rest.indexOf("-----BEGIN");
  const closing = KEY_END.exec(following >= 0 ? rest.slice(0, following) : rest);
  const length = closing ? closing.index + closing[0].length : (KEY_BODY.exec(rest) as RegExpExecArray)[0].length;
  const body = rest.slice(0, closing ? closing.index : length);
  if (new Set(body).size < DISTINCT_MIN / 2 || body.length < DISTINCT_MIN) return null;
  return { start, end: end + length, value: data.slice(start, end + length) };
}

/**
 * Find what the pattern of JSON Web Tokens proposes, each run of characters read once: backtracking would read it again
 * from each of its places.
 */
export function findJwts(data: string): Found[] {
  const found: Found[] = [];
  let partEnd = 0;
  for (let at = data.indexOf("eyJ"); at >= 0; ) {
    if (at >= partEnd) partEnd = endOf(JWT_PART, data, at);
    const secondEnd = data[partEnd] === "." ? endOf(JWT_PART, data, partEnd + 1) : partEnd;
    let next = at + 3;
    if (secondEnd - partEnd <= JWT_PART_CHARS_MIN) next = partEnd;
    else if (partEnd - at >= JWT_START_CHARS && LEAD.test(data.slice(Math.max(0, at - 6), at))) {
      const end = endOf(JWT_TAIL, data, partEnd + 1);
      const jwt = checkJwt(data, at, end);
      if (jwt) found.push(jwt);
      next = jwt?.end ?? end;
    }
    at = data.indexOf("eyJ", Math.max(next, at + 1));
  }
  return found;
}

/** Accept a token whose first part decodes to a JSON object that names an algorithm (RFC 7519). */
export function checkJwt(data: string, start: number, end: number): Found | null {
  const header = data.slice(start, data.indexOf(".", start)).slice(0, JWT_HEADER_CHARS_MAX);
  if (header.length % 4 === 1) return null;
  try {
    const decoded: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(header, "base64url")));
    if (typeof decoded !== "object" || decoded === null || Array.isArray(decoded) || !Object.hasOwn(decoded, "alg")) return null;
  } catch {
    return null; // not base64, not UTF-8 or not JSON: no token
  }
  let last = end;
  while (".-".includes(data[last - 1])) last--;
  return { start, end: last, value: data.slice(start, last) };
}

/** Accept a key that is not a placeholder. */
export function checkVaried(data: string, start: number, end: number): Found | null {
  const value = data.slice(start, end);
  return new Set(value.slice(4)).size > DISTINCT_MIN ? { start, end, value } : null;
}

/** Accept an access key id, not the one in AWS's own manuals. */
export function checkAwsId(data: string, start: number, end: number): Found | null {
  const value = data.slice(start, end);
  return value.endsWith("EXAMPLE") ? null : { start, end, value };
}

/** Accept forty base64 characters after the words `secret access key`. */
export function checkAwsSecret(data: string, start: number, end: number): Found | null {
  const value = data.slice(start, end);
  if (value.includes("EXAMPLE") || isAlnum(data[end]) || new Set(value).size <= DISTINCT_MIN * 1.5) return null;
  return { start, end, value };
}

/** Accept a Bedrock key: short-lived ones have a fixed head, long-lived ones 109 characters and more. */
export function checkBedrockKey(data: string, start: number, end: number): Found | null {
  const value = data.slice(start, end);
  return value.startsWith("ABSK") && (value.length < 113 || value.includes("EXAMPLE")) ? null : { start, end, value };
}

function endOf(run: RegExp, data: string, at: number): number {
  run.lastIndex = at;
  run.exec(data);
  return Math.max(run.lastIndex, at);
}
