"""Checks for addresses of the internet: e-mail, IPv4, IPv6."""

import ipaddress
import re

from controlzero.pii.checks import Found, before, is_chained, is_glued, unescaped

# Two letters end an e-mail only if they are a country of the root zone; longer ends pass unless they name a file.
_COUNTRY_CODES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf "
    "cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg "
    "gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp "
    "kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne "
    "nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk "
    "sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn "
    "vu wf ws ye yt za zm zw"
)
COUNTRIES = frozenset(_COUNTRY_CODES.split())
_FILES = "png jpg jpeg gif svg webp css js jsx ts tsx mjs json html htm xml yaml yml toml txt md csv pdf zip tar gz exe dll php"
FILE_ENDINGS = frozenset(_FILES.split())
_LOCAL_BYTES_MAX = 128  # 64 characters (RFC 5321), each of at most two bytes
_LOCAL_BYTES = bytes(
    b
    for b in range(256)
    if chr(b) in "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-'" or 0x80 <= b <= 0xBF or 0xC3 <= b <= 0xD4
)
_DOMAIN = re.compile(
    rb"(?:[0-9A-Za-z_\x80-\xbf\xc3-\xd4-]+(?:\\u[0-9A-Fa-f]{4}[0-9A-Za-z_\x80-\xbf\xc3-\xd4-]*)*\.)+"
    rb"(?:xn--[0-9A-Za-z-]+|(?:[A-Za-z]|[\xc3-\xd4][\x80-\xbf]){2,})"
)
_EMAIL_CHARS_MAX = 254 + 64  # RFC 5321, with room for escapes
_NO_PERSON = ("git@", "@")  # git@github.com:acme/site.git is an address of no one
_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|[bfnrt])")

# Words before four numbers that make them a version or a section and no address.
_NUMBERING = re.compile(
    rb"(?i)(?:version|\bver|\bv|build|release|\brev|revision|firmware|driver|jdk|sdk|section|chapter|clause|\boid)"
    rb"(?:[ \"'\\:=#@/._\x1f-]|is)*\Z"
)
_PRODUCT = re.compile(rb"[A-Za-z][/-]\Z")  # Chrome/98.0.47.10, release-4.2.1.20


def find_emails(data: bytes) -> list[Found]:
    """Find what the pattern of e-mails proposes, from one @ to the next: a third of the time, for the commonest type."""
    found: list[Found] = []
    done = 0
    at = data.find(b"@")
    while at >= 0:
        if domain := _DOMAIN.match(data, at + 1):
            start = _local_start(data, at)
            if start and data[start - 1] == 0x5C:  # a backslash
                start = _behind_escapes(data, start)
            if email := check_email(data, start if start > done else done, domain.end()):
                found.append(email)
                done = email[1]
        at = data.find(b"@", at + 1)
    return found


def _local_start(data: bytes, at: int) -> int:
    head = data[at - _LOCAL_BYTES_MAX if at > _LOCAL_BYTES_MAX else 0 : at]
    start = at - len(head) + len(head.rstrip(_LOCAL_BYTES))
    while 0x80 <= data[start] <= 0xBF:  # the rest of a character that is no letter
        start += 1
    return start


def _behind_escapes(data: bytes, start: int) -> int:
    r"""Take the letter that `\u00fcrgen` begins with; leave the one of `\nbob`."""
    while start and data[start - 1] == 0x5C and (escape := _ESCAPE.match(data, start - 1)):
        if not escape[1] or not 0xC0 <= int(escape[1], 16) <= 0x53F:
            return escape.end()
        start = _local_start(data, start - 1)
    return start


def check_email(data: bytes, start: int, end: int) -> Found | None:
    """Accept an address that has a local part, and whose domain ends as domains do."""
    while data[start] in b".-+'":
        start += 1
    address = unescaped(data[start:end]).lower()
    if len(address) > _EMAIL_CHARS_MAX or address.startswith(_NO_PERSON):
        return None
    ending = address.rpartition(".")[2]
    if ending in FILE_ENDINGS or (len(ending) == 2 and ending not in COUNTRIES and ending.isascii()):
        return None
    return start, end, address


def check_ipv4(data: bytes, start: int, end: int) -> Found | None:
    """Accept a dotted quad that names a host: no version, no link of a longer number, not this machine itself."""
    if is_chained(data, start, end):
        return None
    around = before(data, start)
    if _NUMBERING.search(around) or _PRODUCT.search(around):
        return None
    return _address(data, start, end)


def check_ipv6(data: bytes, start: int, end: int) -> Found | None:
    """Accept an IPv6 address with a digit in it: abc::def is a name in a program."""
    if is_glued(data, start) or (start and data[start - 1] in b":.") or data[end : end + 1] == b":":
        return None
    if not any(48 <= b <= 57 for b in data[start:end]):
        return None
    return _address(data, start, end)


def _address(data: bytes, start: int, end: int) -> Found | None:
    try:
        address = ipaddress.ip_address(data[start:end].decode("ascii"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback or mapped.is_unspecified or mapped == ipaddress.IPv4Address(2**32 - 1):
        return None
    return start, end, str(mapped)
