"""Canonical JSON (RFC 8785), with its own examples, and what is not JSON at all."""

import enum
import struct

import pytest

from controlzero.errors import Rejected
from controlzero.policy.canonical import DEPTH_MAX, canonical, plain, scalars, text

# RFC 8785, appendix B: the bits of a double and how it is written.
NUMBERS = {
    "0000000000000000": "0", "8000000000000000": "0", "0000000000000001": "5e-324", "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308", "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992", "c340000000000000": "-9007199254740992", "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22", "44b52d02c7e14af6": "1e+23", "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000", "444b1ae4d6e2ef4f": "999999999999999900000", "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7", "3eb0c6f7a0b5ed8d": "0.000001", "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325", "41b3de4355555555": "333333333.3333333", "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343", "becbf647612f3696": "-0.0000033333333333333333", "43143ff3c1cb0959": "1424953923781206.2",
}  # fmt: skip


@pytest.mark.parametrize(("bits", "written"), NUMBERS.items())
def test_a_double_is_written_as_the_standard_writes_it(bits, written):
    assert canonical(struct.unpack(">d", bytes.fromhex(bits))[0]) == written


def test_the_standards_own_example():
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\nA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    assert canonical(value) == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_are_in_the_order_of_their_utf16():
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert canonical(dict.fromkeys(keys, 0)) == "{" + ",".join(
        f"{key}:0" for key in ['"\\r"', '"1"', '"\u0080"', '"\u00f6"', '"\u20ac"', '"\U0001f600"', '"\ufb33"']
    ) + "}"  # fmt: skip


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (..., "ellipsis"), (object(), "object"), (float("nan"), "float"), (float("-inf"), "float"), (10**400, "int"), (b"x", "bytes"),
        ({1}, "set"), (Colour.RED, "red"), (Level.HIGH, "3"), ([..., 1], '["ellipsis",1]'), ({2: 2.0, True: None}, '{"2":2,"true":null}'),
        ((1, 2), "[1,2]"), (2**53 + 1, "9007199254740992"), (10**22, "1e+22"), (None, "null"), ("text", "text"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_what_is_not_text_reads_as_json_or_as_its_type(value, read):
    assert text(value) == read
    assert text(plain(value)) == read


def test_arguments_that_hold_themselves_are_refused_not_followed():
    loop = []
    loop.append(loop)
    with pytest.raises(Rejected, match="hold themselves"):
        list(scalars(loop))
    with pytest.raises(Rejected, match="nest deeper"):
        canonical(loop)
    assert len(str(plain(loop))) < 10 * DEPTH_MAX
