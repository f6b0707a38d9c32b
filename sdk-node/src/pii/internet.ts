/** Checks for addresses of the internet: e-mail, IPv4, IPv6. */

import { type Found, before, isChained, isGlued, unescaped } from "./checks.js";
import { COUNTRIES, FILE_ENDINGS } from "./table.js";

const LOCAL_BYTES_MAX = 128; // 64 characters (RFC 5321), each of at most two bytes
const LOCAL = /[0-9a-zA-Z_.+'\u00c0-\u053f-]/;
const DOMAIN = /(?:[0-9A-Za-z_\u00c0-\u053f-]+(?:\\u[0-9A-Fa-f]{4}[0-9A-Za-z_\u00c0-\u053f-]*)*\.)+(?:xn--[0-9A-Za-z-]+|[A-Za-z\u00c0-\u053f]{2,})/y;
const EMAIL_CHARS_MAX = 254 + 64; // RFC 5321, with room for escapes
const ESCAPE = /\\(?:u([0-9A-Fa-f]{4})|[bfnrt])/y;
// Words before four numbers that make them a version or a section and no address.
const NUMBERING =
  /(?:version|\bver|\bv|build|release|\brev|revision|firmware|driver|jdk|sdk|section|chapter|clause|\boid)(?:[ "'\\:=#@/._\x1f-]|is)*$/i;
const PRODUCT = /[A-Za-z][/-]$/; // Chrome/98.0.47.10, release-4.2.1.20

/** Find every e-mail, from one @ to the next. */
export function findEmails(data: string): Found[] {
  const found: Found[] = [];
  let done = 0;
  for (let at = data.indexOf("@"); at >= 0; at = data.indexOf("@", at + 1)) {
    DOMAIN.lastIndex = at + 1;
    const domain = DOMAIN.exec(data);
    if (domain === null) continue;
    let start = localStart(data, at);
    if (start > 0 && data[start - 1] === "\\") start = behindEscapes(data, start);
    const email = checkEmail(data, Math.max(start, done), at + 1 + domain[0].length);
    if (email === null) continue;
    found.push(email);
    done = email.end;
  }
  return found;
}

function localStart(data: string, at: number): number {
  let start = at;
  for (let bytes = 0; start > 0 && LOCAL.test(data[start - 1]); start--) {
    bytes += data.charCodeAt(start - 1) < 0x80 ? 1 : 2;
    if (bytes > LOCAL_BYTES_MAX) break;
  }
  return start;
}

/** Take the letter that `\u00fcrgen` begins with; leave the one of `\nbob`. */
function behindEscapes(data: string, localStartsAt: number): number {
  let start = localStartsAt;
  while (start > 0 && data[start - 1] === "\\") {
    ESCAPE.lastIndex = start - 1;
    const escape = ESCAPE.exec(data);
    if (escape === null) break;
    const code = parseInt(escape[1] ?? "0", 16);
    if (code < 0xc0 || code > 0x53f) return start - 1 + escape[0].length;
    start = localStart(data, start - 1);
  }
  return start;
}

/** Accept an address that has a local part, and whose domain ends as domains do. */
export function checkEmail(data: string, from: number, end: number): Found | null {
  let start = from;
  while (".-+'".includes(data[start])) start++;
  const address = unescaped(data.slice(start, end)).toLowerCase();
  if (address.length > EMAIL_CHARS_MAX || address.startsWith("git@") || address.startsWith("@")) return null; // addresses of no one
  const ending = address.slice(address.lastIndexOf(".") + 1);
  if (FILE_ENDINGS.has(ending) || (/^[\0-\x7f]{2}$/.test(ending) && !COUNTRIES.has(ending))) return null;
  return { start, end, value: address };
}

/** Accept a dotted quad that names a host: no version, no link of a longer number, not this machine itself. */
export function checkIpv4(data: string, start: number, end: number): Found | null {
  if (isChained(data, start, end)) return null;
  const around = before(data, start);
  if (NUMBERING.test(around) || PRODUCT.test(around)) return null;
  const address = ipv4(data.slice(start, end));
  return address === null ? null : host(start, end, address);
}

/** Accept an IPv6 address with a digit in it: abc::def is a name in a program. */
export function checkIpv6(data: string, start: number, end: number): Found | null {
  if (isGlued(data, start) || (start > 0 && ":.".includes(data[start - 1])) || data[end] === ":") return null;
  const text = data.slice(start, end);
  const words = /[0-9]/.test(text) ? ipv6(text) : null;
  if (words === null) return null;
  const isMapped = words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff;
  if (isMapped) return host(start, end, [words[6] >> 8, words[6] & 0xff, words[7] >> 8, words[7] & 0xff]);
  const isOwn = words.slice(0, 7).every((word) => word === 0) && words[7] <= 1; // :: and ::1
  return isOwn ? null : { start, end, value: compressed(words) };
}

function host(start: number, end: number, address: number[]): Found | null {
  const isOfNobody = address[0] === 127 || address.every((part) => part === 0) || address.every((part) => part === 255);
  return isOfNobody ? null : { start, end, value: address.join(".") };
}

function ipv4(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return parts.map(Number);
}

/** Return the eight words of an IPv6 address, null where it is none. */
function ipv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, place) => wordsOf(half, { mayEndInIpv4: place === halves.length - 1 }));
  if (head === null || tail === null) return null;
  if (halves.length === 1) return head.length === 8 ? head : null;
  const missing = 8 - head.length - tail.length;
  return missing < 1 ? null : [...head, ...Array<number>(missing).fill(0), ...tail];
}

function wordsOf(text: string, { mayEndInIpv4 }: { mayEndInIpv4: boolean }): number[] | null {
  if (text === "") return [];
  const words: number[] = [];
  const parts = text.split(":");
  for (const [place, part] of parts.entries()) {
    if (part.includes(".")) {
      const address = mayEndInIpv4 && place === parts.length - 1 ? ipv4(part) : null;
      if (address === null) return null;
      words.push(address[0] * 256 + address[1], address[2] * 256 + address[3]);
    } else {
      if (!/^[0-9A-Fa-f]{1,4}$/.test(part)) return null;
      words.push(parseInt(part, 16));
    }
  }
  return words;
}

/** Write an address as RFC 5952 does: the longest run of zeros, of two words at least, is `::`. */
function compressed(words: readonly number[]): string {
  let [start, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let zeros = 0;
    while (at + zeros < 8 && words[at + zeros] === 0) zeros++;
    if (zeros > length) [start, length] = [at, zeros];
  }
  const written = words.map((word) => word.toString(16));
  return start < 0 ? written.join(":") : `${written.slice(0, start).join(":")}::${written.slice(start + length).join(":")}`;
}
