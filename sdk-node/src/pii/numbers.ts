/** Checks for numbers of people: payment cards, IBANs, US social security numbers, telephones. */

import { type Found, before, digits, isAlnum, isAmongNumbers, isChained, isDigit, isGlued, symbols, unescaped } from "./checks.js";
import { IBAN_LENGTHS } from "./table.js";

// First digits of a card, and the lengths their issuers use.
const CARD_PREFIXES: readonly [RegExp, readonly number[]][] = [
  [/^4/, [13, 16, 19]], // Visa
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]], // Mastercard
  [/^3[47]/, [15]], // American Express
  [/^(?:30[0-5]|309|3[689])/, [14, 16]], // Diners Club
  [/^35(?:2[89]|[3-8])/, [16, 19]], // JCB
  [/^(?:6011|64[4-9]|65|62|81)/, [16, 19]], // Discover, UnionPay
  [/^(?:50|5[6-8]|6[0-9])/, [13, 15, 16, 18, 19]], // Maestro
];
const CARD_LENGTHS_OFTEN: readonly number[] = [14, 15, 16]; // the others are those of barcodes and of the ids of large systems, too
const CARD_NEAR = /card|visa|maestro|unionpay|payment|\bpan\b/i;
const CARD_WORD = /(?:card|visa|amex|mastercard|maestro|cc|pan)[ :=#-]*$/i;
// ITU-T E.164 calling codes of one and two digits; the other codes have three.
const CODE = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-69]|3[578]|42|50|59|6[789]|8[0578]|9[679])[0-9])/;
const PHONE_DIGITS_MIN = 7;
const PHONE_DIGITS_MAX = 15;
const DATE = /^(?:19|20)[0-9][0-9][-./](?:0?[1-9]|1[0-2])[-./]/;
const SSN_WORD = /(?:ssn|social.security.{0,7})[ :=#-]*$/i;
const VOID_SSNS: ReadonlySet<string> = new Set(["078051120", "219099999"]); // printed in advertisements; the SSA lists them as void

/** Accept a number of an issuer's prefix and length with the right last digit, standing alone. */
export function checkPaymentCard(data: string, start: number, end: number): Found | null {
  const number = digits(data.slice(start, end));
  if (!CARD_PREFIXES.some(([prefix, lengths]) => lengths.includes(number.length) && prefix.test(number))) return null;
  if (!hasLuhnDigit(number) || new Set(number).size < 2) return null;
  if (isChained(data, start, end) && !CARD_WORD.test(before(data, start))) return null;
  const isInOnePiece = end - start === number.length;
  if (isInOnePiece && !CARD_LENGTHS_OFTEN.includes(number.length) && !CARD_NEAR.test(before(data, start))) return null;
  return { start, end, value: number };
}

/** Accept as many characters as the country's IBANs have, where the check digits are right and no letter follows. */
export function checkIban(data: string, start: number, end: number): Found | null {
  const found = symbols(data, start, end);
  const length = IBAN_LENGTHS.get((found[0][0] + found[1][0]).toUpperCase());
  if (length === undefined || found.length < length) return null;
  const iban = found
    .slice(0, length)
    .map(([symbol]) => symbol)
    .join("");
  const last = found[length - 1][1];
  const isOneCase = iban === iban.toUpperCase() || iban === iban.toLowerCase();
  if (!isOneCase || isAlnum(data[last]) || !hasIbanDigits(iban.toUpperCase())) return null;
  return { start, end: last, value: iban.toUpperCase() };
}

/** Accept what the SSA can have issued: area not 000, 666 or 9xx, group not 00, serial not 0000. */
export function checkUsSsn(data: string, start: number, end: number): Found | null {
  const number = digits(data.slice(start, end));
  if (/^(?:000|666|9)|^.{3}00|0000$/.test(number) || VOID_SSNS.has(number)) return null;
  if (isChained(data, start, end) && !SSN_WORD.test(before(data, start))) return null;
  return { start, end, value: number };
}

/** Accept a number after `+` with a calling code in use and enough digits behind it. */
export function checkPhoneInternational(data: string, start: number, end: number): Found | null {
  if (start > 0 && (isGlued(data, start) || data[start - 1] === "+")) return null;
  const found = symbols(data, start, end);
  const number = found.map(([symbol]) => symbol).join("");
  const code = CODE.exec(number)?.[0];
  if (code === undefined) return null;
  if (code === "1") {
    // +1 415 555 0132 has eleven digits; what stands behind is another number
    if (number.length < 11 || "01".includes(number[1]) || isDigit(data[found[10][1]])) return null;
    return { start, end: found[10][1], value: number.slice(0, 11) };
  }
  if (number.length - code.length < (code.length === 3 ? 6 : 7)) return null;
  return { start, end, value: number };
}

/** Accept a number in the groups its country writes it in: no order number looks so. */
export function checkPhoneNational(data: string, start: number, end: number): Found | null {
  if (isGlued(data, start) || isChained(data, start, end)) return null;
  const value = unescaped(data.slice(start, end));
  const groups = value.match(/[0-9]+/g) ?? [];
  const number = groups.join("");
  const isSpaced = /^[0-9 ]+$/.test(value);
  if (isSpaced && groups.length > 1 && isAmongNumbers(data, start, end)) return null;
  if (number[0] === "0" || groups[groups.length - 1].length === 2) return { start, end, value: number }; // a trunk 0, or 532 123 45 67
  const last = number.slice(-10);
  // An exchange of +1 begins with 2 to 9. Examples are written 555-123-4567 all the same, tables 250 123 4567.
  if (last.slice(1, 3) === "11" || last[3] === "0" || (last[3] === "1" && isSpaced)) return null;
  return { start, end, value: `1${last}` };
}

/** Accept any number of a telephone's length: the word before it has said what it is. */
export function checkPhoneNamed(data: string, start: number, end: number): Found | null {
  const number = digits(data.slice(start, end));
  if (number.length < PHONE_DIGITS_MIN || number.length > PHONE_DIGITS_MAX || new Set(number).size < 2) return null;
  if (DATE.test(data.slice(start, end))) return null;
  const isNanp = number.length === 10 && number[0] >= "2" && data[start] !== "+";
  return { start, end, value: isNanp ? `1${number}` : number };
}

/** Check the last digit of a card number (ISO/IEC 7812-1). */
function hasLuhnDigit(number: string): boolean {
  let sum = 0;
  for (let place = 1; place <= number.length; place++) {
    const digit = Number(number[number.length - place]);
    sum += place % 2 === 1 ? digit : [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit];
  }
  return sum % 10 === 0;
}

/** Check the check digits of an IBAN in capitals (ISO 13616: the rearranged number mod 97 is 1). */
function hasIbanDigits(iban: string): boolean {
  const rearranged = [...iban.slice(4), ...iban.slice(0, 4)].map((symbol) => parseInt(symbol, 36)).join("");
  let rest = 0;
  for (const digit of rearranged) rest = (rest * 10 + Number(digit)) % 97;
  return rest === 1;
}
