r"""What personal data and secrets look like: one table of detectors, each a pattern, its check, a type and a family.

The patterns are RE2 (linear time) over UTF-8 and read a text and its JSON encoding alike: a value may be led by the
letter of an escape (`\n4111…`), and separators may stand as `\u2011`. That is why one table serves `find` on text,
`might_hold` on encoded JSON, and text that has JSON inside. Group 1 is the value where there is a group. Counts above a
few dozen are left to the checks: RE2 unrolls them. To add a detector is to add a row; the order of rows settles overlaps.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from controlzero.pii import credentials, numbers
from controlzero.pii.checks import Check, Found
from controlzero.pii.internet import check_email, check_ipv4, check_ipv6, find_emails

Family = Literal["pii", "secret"]

BESIDE = "\x1f"  # stands between the name of a field and its value, so that "phone" can speak for 4155550132


class Detector(Struct, frozen=True):
    """One way to recognise one type: `pattern` proposes, `check` disposes and normalises.

    `find`, where there is one, does the work of both, faster. It finds nothing the pattern would not propose: what
    the pattern does not see, `might_hold` does not.
    """

    type: str
    family: Family
    pattern: str
    check: Check
    find: Callable[[bytes], list[Found]] | None = None


def nocase(word: str) -> str:
    """Match `word` in any ASCII case. RE2's own (?i) would also take U+017F for s and U+212A for k."""
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word)


def any_of(*words: str) -> str:
    """Match any of the words, in any ASCII case; `_` in a word matches `_`, a space, a dash or nothing."""
    return "(?:" + "|".join(nocase(w).replace("_", "[_ -]?") for w in words) + ")"


_ESCAPE = r"\\u[0-9A-Fa-f]{4}"
_LEAD = rf"(?:\b|_|\\[bfnrt]|{_ESCAPE})"
_TRAIL = r"(?:\b|_)"
_SPACE = r"(?:[ \x{A0}\x{2007}\x{2009}\x{202F}]|\\u(?:00[aA]0|20(?:0[79]|2[fF])))"
_DASH = r"(?:[-\x{2010}-\x{2014}\x{2212}]|\\u(?:201[0-4]|2212))"  # models like to write U+2011
_SPACE_DASH = rf"(?:{_SPACE}|{_DASH})"
_SPACE_DASH_DOT = rf"(?:{_SPACE}|{_DASH}|\.)"
_DIGITS_APART = rf"(?:{_SPACE}|{_DASH}|[.()/])"
# Between a word that says what follows and the value: quotes, colons and the like, as text or as JSON.
_GAP = r"""(?:[ \t\r\n"'\\:=#.(\[\x1f]|\\[nrt]|\\u00(?:1[fF]|27|3[dD])|\b""" + any_of("is", "number", "num", "no", "nr") + r"\b)*"

_LETTER = r"0-9A-Za-z_\x{C0}-\x{53F}"  # Latin, Greek, Cyrillic; not the quotes and dashes of U+2000
_LABEL = rf"(?:[{_LETTER}-]|{_ESCAPE})"
_END_LETTER = rf"(?:[A-Za-z\x{{C0}}-\x{{53F}}]|{_ESCAPE})"
_EMAIL = rf"[{_LETTER}.+'-]+@(?:{_LABEL}+\.)+(?:xn--[0-9A-Za-z-]+|{_END_LETTER}{_END_LETTER}+)"

# `phone` starts a word or a part of one (customerPhone): headphones and microphones are goods.
_PHONE_WORD = (
    rf"(?:(?:{_LEAD}|[cC][eE][lL][lL]|[tT][eE][lL][eE])"
    + any_of("phone", "mobile", "whatsapp", "msisdn", "tel", "cell", "fax", "sms", "call_me", "call_me_on", "call_me_at", "reach_me_at")
    + r"|[a-z][a-z](?:Phone|Mobile|Fax))(?:[_ -]?"
    + any_of("number", "num", "no", "nr", "on", "at")
    + ")?[sS]?"
)
_SSN_WORD = "(?:" + any_of("ssn", "social_security", "social_security_number", "social_security_no", "social_security_num") + ")[sS]?"
_AWS_SECRET_WORD = any_of("aws_secret_access_key", "secret_access_key", "aws_secret_key", "aws_secret")

_HEX4 = "[0-9A-Fa-f]{1,4}"
_HEX_TAIL = rf"(?:{_HEX4}(?::{_HEX4}){{0,6}}(?:\.[0-9]{{1,3}}){{0,3}})"

_ISSUER = "(?:[3-6][0-9]|2[2-7]|81)"  # no card begins as a time in milliseconds does

# Digits after the trunk 0, group by group: France, Britain, Japan, Germany, Turkey, Australia.
_TRUNK_GROUPS = ((1, 2, 2, 2, 2), (2, 4, 4), (3, 3, 4), (2, 3, 4), (1, 4, 4), (4, 3, 3), (3, 3, 2, 2), (4, 6), (3, 7))
_TRUNK = "|".join(
    "0[1-9]" + _SPACE_DASH_DOT.join(f"[0-9]{{{n - (place == 0)}}}" for place, n in enumerate(groups)) for groups in _TRUNK_GROUPS
)


def _iban(letters: str) -> str:
    """Match the IBANs of each country in its length, in capitals or small letters, in one piece or in fours."""
    by_length: dict[int, list[str]] = {}
    for country, length in numbers.IBAN_LENGTHS.items():
        by_length.setdefault(length, []).append(country if letters == "A-Z" else country.lower())
    in_one = "|".join(f"(?:{'|'.join(codes)})[0-9]{{2}}[0-9{letters}]{{{length - 4}}}" for length, codes in by_length.items())
    countries = "|".join(code for codes in by_length.values() for code in codes)
    return rf"{in_one}|(?:{countries})[0-9]{{2}}(?:{_SPACE_DASH}[0-9{letters}]{{4}}){{2}}(?:{_SPACE_DASH}[0-9{letters}]{{1,4}})+"


DETECTORS: tuple[Detector, ...] = (
    Detector("private_key", "secret", r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)", credentials.check_private_key),
    Detector("jwt", "secret", rf"{_LEAD}(eyJ[0-9A-Za-z_-]{{8}}[0-9A-Za-z_-]*\.[0-9A-Za-z_-]{{8}}[0-9A-Za-z_.-]*)", credentials.check_jwt),
    Detector("aws_key", "secret", rf"{_LEAD}((?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{{16}})\b", credentials.check_aws_id),
    Detector("aws_key", "secret", rf"{_AWS_SECRET_WORD}{_GAP}((?:[0-9A-Za-z/+]|\\/){{40}})", credentials.check_aws_secret),
    Detector(
        "aws_key",
        "secret",
        rf"{_LEAD}((?:bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t|ABSK)(?:[0-9A-Za-z+/=]|\\/)*)",
        credentials.check_bedrock_key,
    ),
    Detector(
        "github_token",
        "secret",
        rf"{_LEAD}(gh[pousr]_[0-9A-Za-z]{{36}}[0-9A-Za-z]*|github_pat_[0-9A-Za-z_]{{36}}[0-9A-Za-z_]*)\b",
        credentials.check_varied,
    ),
    Detector(
        "openai_key",
        "secret",
        rf"{_LEAD}(sk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{{20}}[0-9A-Za-z_-]*|sk-[0-9A-Za-z]{{40}}[0-9A-Za-z]*)",
        credentials.check_varied,
    ),
    Detector("email", "pii", _EMAIL, check_email, find_emails),
    Detector("iban", "pii", rf"{_LEAD}({_iban('A-Z')}|{_iban('a-z')}){_TRAIL}", numbers.check_iban),
    Detector(
        "payment_card",
        "pii",
        rf"{_LEAD}({_ISSUER}[0-9]{{11,17}}|{_ISSUER}[0-9]{{2}}(?:{_SPACE_DASH}[0-9]{{4}}){{3}}(?:{_SPACE_DASH}[0-9]{{1,3}})?"
        rf"|{_ISSUER}[0-9]{{2}}{_SPACE_DASH}[0-9]{{6}}{_SPACE_DASH}[0-9]{{4,5}}){_TRAIL}",
        numbers.check_payment_card,
    ),
    Detector("us_ssn", "pii", rf"{_LEAD}([0-9]{{3}}{_SPACE_DASH}[0-9]{{2}}{_SPACE_DASH}[0-9]{{4}}){_TRAIL}", numbers.check_us_ssn),
    Detector("us_ssn", "pii", rf"{_SSN_WORD}{_GAP}([0-9]{{9}}){_TRAIL}", numbers.check_us_ssn),
    Detector(
        "ip_address",
        "pii",
        rf"{_LEAD}((?:{_HEX4}:){{7}}{_HEX4}{_TRAIL}|{_HEX4}(?::{_HEX4}){{0,6}}::(?:{_HEX_TAIL}{_TRAIL})?)",
        check_ipv6,
    ),
    Detector("ip_address", "pii", rf"(::{_HEX_TAIL}){_TRAIL}", check_ipv6),
    Detector("ip_address", "pii", rf"{_LEAD}([0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}){_TRAIL}", check_ipv4),
    Detector("phone", "pii", rf"(\+[1-9](?:{_DIGITS_APART}{{0,3}}[0-9]){{7,14}}){_TRAIL}", numbers.check_phone_international),
    Detector(
        "phone",
        "pii",
        rf"((?:1{_SPACE_DASH_DOT})?\([2-9][0-9]{{2}}\){_SPACE_DASH}?[0-9]{{3}}{_SPACE_DASH_DOT}[0-9]{{4}}){_TRAIL}",
        numbers.check_phone_national,
    ),
    Detector(
        "phone",
        "pii",
        rf"{_LEAD}((?:1{_SPACE_DASH_DOT})?[2-9][0-9]{{2}}{_SPACE_DASH_DOT}[0-9]{{3}}{_SPACE_DASH_DOT}(?:[0-9]{{4}}|[0-9]{{2}}{_SPACE_DASH_DOT}[0-9]{{2}})"
        rf"|{_TRUNK}|0[5-9][0-9]{{9}}){_TRAIL}",
        numbers.check_phone_national,
    ),
    Detector("phone", "pii", rf"{_PHONE_WORD}{_GAP}(\+?[0-9](?:{_DIGITS_APART}{{0,2}}[0-9]){{6,14}}){_TRAIL}", numbers.check_phone_named),
)

VAULT_SECRET = "vault_secret"  # noqa: S105 - the type of what is no pattern: a secret that an SDK holds, found by its own text

FAMILIES: dict[str, Family] = {**{d.type: d.family for d in DETECTORS}, VAULT_SECRET: "secret"}

# What hides a value from the patterns in encoded JSON: printable ASCII written \u0040 (but not the & ' ; < = > ?
# that encoders escape for HTML and no pattern needs), a number with an exponent, a list under a name that speaks.
HIDDEN_IN_JSON = "|".join(
    (
        r"\\u00(?:2[0-58-9a-fA-F]|3[0-9aA]|[4-7][0-9a-fA-F])",
        r"(?:^|[:,\[ \t\r\n])-?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]",
        rf"""(?:{_PHONE_WORD}|{_SSN_WORD}|{_AWS_SECRET_WORD})\\?"[ \t\r\n]*:[ \t\r\n]*\[""",
    )
)
