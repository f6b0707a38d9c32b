"""How a value reads as text: itself if it is text, else canonical JSON (RFC 8785), the same in every language."""

from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring
from math import isfinite

from controlzero.errors import Rejected

DEPTH_MAX = 256  # of nested arguments; past it they are not judged but refused
EXACT_INT_MAX = 2**53  # beyond, neighbours share a double, and another language could not tell them apart
_SCALARS = (str, bool, int, float)
_PLAIN = frozenset(_SCALARS)


def text(value: object) -> str:
    """Return what a fact compares as: a text as it is, all else as canonical JSON (5000.0 is `5000`).

    A value that JSON does not have (an Ellipsis, an object, NaN) reads as the name of its type.
    """
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[return-value]  # its class was just compared
    if kind is int and -EXACT_INT_MAX <= value <= EXACT_INT_MAX:  # type: ignore[operator]
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if is_json(value):
        return canonical(value)
    return kind.__name__


def canonical(value: object, *, depth: int = 0) -> str:
    """Return the canonical JSON of a value (RFC 8785). Raises `Rejected` past `DEPTH_MAX` levels."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring(str.__str__(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) and is_json(value):
        return _number(value)
    if depth > DEPTH_MAX:
        raise too_deep()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(canonical(element, depth=depth + 1) for element in value)}]"
    if isinstance(value, Mapping):
        named = {key if key.__class__ is str else text(key): element for key, element in value.items()}
        members = (f"{encode_basestring(key)}:{canonical(named[key], depth=depth + 1)}" for key in sorted(named, key=_utf16))
        return f"{{{','.join(members)}}}"
    return encode_basestring(value.__class__.__name__)


def is_json(value: object) -> bool:
    """Tell whether JSON has such a value; of a list or an object, only its kind is looked at."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -EXACT_INT_MAX <= value <= EXACT_INT_MAX or value.bit_length() <= 1023
    return value is None or isinstance(value, (str, list, tuple, Mapping))


def plain(value: object, *, depth: int = 0) -> object:
    """Return a value as JSON has it: what is not JSON, or nests deeper than `DEPTH_MAX`, becomes its type's name."""
    kind = value.__class__
    if kind is str or kind is bool or value is None:
        return value
    if depth <= DEPTH_MAX:
        if isinstance(value, Mapping):
            return {key if key.__class__ is str else text(key): plain(element, depth=depth + 1) for key, element in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(element, depth=depth + 1) for element in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and is_json(value):
        return int(value) if -(2**63) <= value < 2**63 else float(value)  # beyond, encoders differ; both read as the same text
    return float(value) if isinstance(value, float) and isfinite(value) else kind.__name__


def is_scalar(value: object) -> bool:
    """Tell whether a value is one thing: not null, no list, no object."""
    return value.__class__ in _PLAIN or (value is not None and not isinstance(value, (list, tuple, Mapping)))


def scalars(value: object) -> Iterator[object]:
    """Yield every scalar in a value, however nested. Raises `Rejected` past `DEPTH_MAX` levels."""
    levels: list[Iterator[object]] = [iter((value,))]
    while levels:
        for element in levels[-1]:
            if isinstance(element, _SCALARS):
                yield element
            elif isinstance(element, (list, tuple, Mapping)):
                if len(levels) > DEPTH_MAX:
                    raise too_deep()
                levels.append(iter(element.values() if isinstance(element, Mapping) else element))
                break
            elif element is not None:
                yield element
        else:
            levels.pop()


def too_deep() -> Rejected:
    """Return the error for arguments that nest too deep to be judged (or hold themselves)."""
    return Rejected(f"arguments nest deeper than {DEPTH_MAX} levels or hold themselves; pass what the action needs, flatter")


def _number(value: int | float) -> str:
    if isinstance(value, int):
        if -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
            return str(int(value))
        value = float(value)
    if value.is_integer() and abs(value) <= EXACT_INT_MAX:
        return str(int(value))
    return _ecmascript(value)


def _ecmascript(value: float) -> str:
    """Return a double as ECMAScript's Number::toString writes it, which RFC 8785 prescribes (section 3.2.2.3)."""
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))  # its place, counted in `digits`
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"{sign}{digits[0]}{'.' + digits[1:] if count > 1 else ''}{power}"


def _utf16(key: str) -> bytes:
    """Order keys by their UTF-16 code units, as RFC 8785 asks."""
    return key.encode("utf-16-be", "surrogatepass")
