"""Checks for numbers of people: payment cards, IBANs, US social security numbers, telephones."""

import re

from controlzero.pii.checks import Found, before, digits, is_among_numbers, is_chained, is_glued, symbols, unescaped

# Length of an IBAN → the ISO 3166 countries that use it (SWIFT's IBAN registry).
_IBAN_COUNTRIES = {
    15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA",
    30: "JO KW MU YE", 31: "MT SC", 33: "RU",
}  # fmt: skip
IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}

# First digits of a card, and the lengths their issuers use.
_CARD_PREFIXES = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"30[0-5]|309|3[689]"), (14, 16)),  # Diners Club
    (re.compile(r"35(?:2[89]|[3-8])"), (16, 19)),  # JCB
    (re.compile(r"6011|64[4-9]|65|62|81"), (16, 19)),  # Discover, UnionPay
    (re.compile(r"50|5[6-8]|6[0-9]"), (13, 15, 16, 18, 19)),  # Maestro
)
_CARD_LENGTHS_OFTEN = (14, 15, 16)  # the others are those of barcodes and of the ids of large systems, too
_CARD_NEAR = re.compile(rb"(?i)card|visa|maestro|unionpay|payment|\bpan\b")
_CARD_WORD = re.compile(rb"(?i)(?:card|visa|amex|mastercard|maestro|cc|pan)[ :=#-]*\Z")

# ITU-T E.164 calling codes of one and two digits; the other codes have three.
_CODE = re.compile(r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-69]|3[578]|42|50|59|6[789]|8[0578]|9[679])\d")
_DIGITS = re.compile(r"[0-9]+")
_PHONE_DIGITS_MIN, _PHONE_DIGITS_MAX = 7, 15
_DATE = re.compile(r"(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./]")
_SSN_WORD = re.compile(rb"(?i)(?:ssn|social.security.{0,7})[ :=#-]*\Z")
_VOID_SSNS = frozenset(("078051120", "219099999"))  # printed in advertisements; the SSA lists them as void


def has_luhn_digit(number: str) -> bool:
    """Check the last digit of a card number (ISO/IEC 7812-1)."""
    doubled = sum((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(d)] for d in number[-2::-2])
    return (doubled + sum(int(d) for d in number[-1::-2])) % 10 == 0


def has_iban_digits(iban: str) -> bool:
    """Check the check digits of an IBAN in capitals (ISO 13616: the rearranged number mod 97 is 1)."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def check_payment_card(data: bytes, start: int, end: int) -> Found | None:
    """Accept a number of an issuer's prefix and length with the right last digit, standing alone."""
    number = digits(data[start:end])
    if not any(len(number) in lengths and prefix.match(number) for prefix, lengths in _CARD_PREFIXES):
        return None
    if not has_luhn_digit(number) or len(set(number)) < 2:
        return None
    if is_chained(data, start, end) and not _CARD_WORD.search(before(data, start)):
        return None
    if end - start == len(number) not in _CARD_LENGTHS_OFTEN and not _CARD_NEAR.search(before(data, start)):
        return None
    return start, end, number


def check_iban(data: bytes, start: int, end: int) -> Found | None:
    """Accept as many characters as the country's IBANs have, where the check digits are right and no letter follows."""
    found = symbols(data, start, end)
    length = IBAN_LENGTHS.get((found[0][0] + found[1][0]).upper())
    if length is None or len(found) < length:
        return None
    iban, end = "".join(c for c, _ in found[:length]), found[length - 1][1]
    if not (iban.isupper() or iban.islower()) or data[end : end + 1].isalnum() or not has_iban_digits(iban.upper()):
        return None
    return start, end, iban.upper()


def check_us_ssn(data: bytes, start: int, end: int) -> Found | None:
    """Accept what the SSA can have issued: area not 000, 666 or 9xx, group not 00, serial not 0000."""
    number = digits(data[start:end])
    if number[:3] in ("000", "666") or number[0] == "9" or number[3:5] == "00" or number[5:] == "0000" or number in _VOID_SSNS:
        return None
    if is_chained(data, start, end) and not _SSN_WORD.search(before(data, start)):
        return None
    return start, end, number


def check_phone_international(data: bytes, start: int, end: int) -> Found | None:
    """Accept a number after `+` with a calling code in use and enough digits behind it."""
    if start and (is_glued(data, start) or data[start - 1] in b"+"):
        return None
    found = symbols(data, start, end)
    number = "".join(c for c, _ in found)
    code = _CODE.match(number)
    if code is None:
        return None
    if code[0] == "1":  # +1 415 555 0132 has eleven digits; what stands behind is another number
        if len(number) < 11 or number[1] in "01" or data[found[10][1] : found[10][1] + 1].isdigit():
            return None
        return start, found[10][1], number[:11]
    if len(number) - len(code[0]) < (6 if len(code[0]) == 3 else 7):
        return None
    return start, end, number


def check_phone_national(data: bytes, start: int, end: int) -> Found | None:
    """Accept a number in the groups its country writes it in: no order number looks so."""
    if is_glued(data, start) or is_chained(data, start, end):
        return None
    value = unescaped(data[start:end])
    number = "".join(groups := _DIGITS.findall(value))
    spaced = value.replace(" ", "").isdigit()
    if spaced and len(groups) > 1 and is_among_numbers(data, start, end):
        return None
    if number[0] == "0" or len(groups[-1]) == 2:  # a trunk 0, or 532 123 45 67
        return start, end, number
    number = number[-10:]
    # An exchange of +1 begins with 2 to 9. Examples are written 555-123-4567 all the same, tables 250 123 4567.
    if number[1:3] == "11" or number[3] == "0" or (number[3] == "1" and spaced):
        return None
    return start, end, "1" + number


def check_phone_named(data: bytes, start: int, end: int) -> Found | None:
    """Accept any number of a telephone's length: the word before it has said what it is."""
    number = digits(data[start:end])
    if not _PHONE_DIGITS_MIN <= len(number) <= _PHONE_DIGITS_MAX or len(set(number)) < 2:
        return None
    if _DATE.match(data[start:end].decode("ascii", "replace")):
        return None
    is_nanp = len(number) == 10 and number[0] in "23456789" and data[start] != 0x2B
    return start, end, "1" + number if is_nanp else number
