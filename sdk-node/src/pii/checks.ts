/** What a check is, and how it reads what a pattern proposed and what stands around it. */

/** The true span of a value, and the value in the one form all its spellings share. */
export interface Found {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

export type Check = (data: string, start: number, end: number) => Found | null;

export const APART = "\0"; // stands between texts that are searched together; no pattern and no context reaches over it
const CONTEXT_BYTES = 32; // how far before a value a check looks for the word that speaks for or against it
const ESCAPE = /\\u([0-9A-Fa-f]{4})/g;
const SYMBOL = /\\u[0-9A-Fa-f]{4}|[0-9A-Za-z]/g;
const ESCAPE_BEFORE = /\\(?:[bfnrt]|u[0-9A-Fa-f]{4})$/;
const ALNUM = /^[0-9A-Za-z]$/;
const NUMBER_IN_SPACE = /^[ \t\n\v\f\r]*[0-9]+[ \t\n\v\f\r]*$/;

/** Read a value as text, `\u00e4` as the letter it stands for. */
export function unescaped(value: string): string {
  return value.includes("\\u") ? value.replace(ESCAPE, (_, code: string) => String.fromCharCode(parseInt(code, 16))) : value;
}

/** Keep the ASCII digits of a value; the digits of an escaped separator are none of them. */
export function digits(value: string): string {
  return unescaped(value).replace(/[^0-9]+/g, "");
}

/** List the letters and digits of a value, each with where it ends. */
export function symbols(data: string, start: number, end: number): [string, number][] {
  const found = data.slice(start, end).matchAll(SYMBOL);
  return [...found].filter(([symbol]) => symbol.length === 1).map((match) => [match[0], start + match.index + 1]);
}

/** Read the few characters before a value, of its own text. */
export function before(data: string, start: number): string {
  let first = start;
  for (let bytes = 0; first > 0; first--) {
    const unit = data.charCodeAt(first - 1);
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
    if (bytes > CONTEXT_BYTES || unit === 0) break;
  }
  return data.slice(first, start);
}

export function isAlnum(character: string | undefined): boolean {
  return character !== undefined && ALNUM.test(character);
}

export function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

/** Say whether a letter or digit stands directly before; the `n` of an escaped `\n` is none. */
export function isGlued(data: string, start: number): boolean {
  return start > 0 && isAlnum(data[start - 1]) && !ESCAPE_BEFORE.test(data.slice(Math.max(0, start - 6), start));
}

/** Say whether a value is a link in a longer run of letters and digits, such as ORD-4111… or 0.4111…. */
export function isChained(data: string, start: number, end: number): boolean {
  if (isAlnum(data[end + 1]) && (data[end] === "-" || (data[end] === "." && isDigit(data[end + 1])))) return true;
  return start >= 2 && "-.,".includes(data[start - 1]) && isGlued(data, start - 1);
}

/** Say whether another number stands one space away, as in the columns of a table. */
export function isAmongNumbers(data: string, start: number, end: number): boolean {
  return NUMBER_IN_SPACE.test(data.slice(Math.max(0, start - 2), start)) || NUMBER_IN_SPACE.test(data.slice(end, end + 2));
}
