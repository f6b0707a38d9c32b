"""The texts inside a JSON value: laid side by side to be searched at once, put back where they stood, named by path."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from controlzero.pii.patterns import BESIDE

_WHOLE_FLOAT_MAX = 1e16  # from here on a float is written with an exponent and its digits are no one's number
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")

Holder = dict[str, Any] | list[Any]


class Members:
    """Every member of a JSON value, in order: `pieces[i]` is its name, BESIDE and its text, which begins at `texts_at[i]`.

    So the name can speak for the text ("phone" for 4155550132). The items of a list go by the name of the list; a
    whole number is the text of its digits; a value that is no text leaves its name alone. Pieces are for the caller
    to change; `put_back` then changes the value, which the caller must own.
    """

    __slots__ = ("_new_names", "_places", "_root", "_within", "pieces", "texts_at")

    def __init__(self, value: Any) -> None:
        self._root: list[Any] = [value]
        self._within: dict[int, tuple[Holder, str | int]] = {}  # id of a list or object → where it stands
        self._places: list[tuple[Holder, str | int]] = []
        self._new_names: dict[tuple[int, str], str] = {}
        self.pieces: list[str] = []
        self.texts_at: list[int] = []
        self._gather(self._root, "")

    @property
    def value(self) -> Any:
        """The JSON value they are members of."""
        return self._root[0]

    def is_item(self, place: int) -> bool:
        """Say whether a piece is a list's item, whose name is only borrowed."""
        return isinstance(self._places[place][1], int)

    def put_back(self, changed: Iterable[tuple[int, bool]]) -> None:
        """Write changed pieces (place, in its name) into the value; names are kept apart where two became the same."""
        renamed: dict[int, dict[str, Any]] = {}
        for place, in_name in changed:
            holder, name = self._places[place]
            if not in_name:
                holder[name] = self.pieces[place][self.texts_at[place] :]  # type: ignore[index]
            elif isinstance(holder, dict) and isinstance(name, str) and (id(holder), name) not in self._new_names:
                self._rename(holder, name, self.pieces[place][: self.texts_at[place] - 1])
                renamed[id(holder)] = holder
        for holder in renamed.values():
            items = [(self._new_names.get((id(holder), name), name), item) for name, item in holder.items()]
            holder.clear()
            holder.update(items)

    def path(self, place: int, base: str) -> str:
        """Name where a piece stands, such as args.items[0].name; names in it are masked as they are in the value."""
        holder, name = self._places[place]
        steps: list[str] = []
        while holder is not self._root:
            steps.append(_step(name if isinstance(name, int) else self._new_names.get((id(holder), name), name)))
            holder, name = self._within[id(holder)]
        return base + "".join(reversed(steps))

    def _gather(self, holder: Holder, beside: str) -> None:
        add_piece, add_place, add_text_at = self.pieces.append, self._places.append, self.texts_at.append
        for name, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if type(name) is str:
                beside = name
            add_place((holder, name))
            add_text_at(len(beside) + 1)
            kind = type(item)
            if kind is str:
                add_piece(f"{beside}{BESIDE}{item}")
            elif kind is dict or kind is list:
                add_piece(beside + BESIDE)
                self._within[id(item)] = (holder, name)
                self._gather(item, beside)
            else:
                add_piece(f"{beside}{BESIDE}{_digits(item)}")

    def _rename(self, holder: dict[str, Any], name: str, new_name: str) -> None:
        free, number = new_name, 2
        taken = {self._new_names.get((id(holder), other), other) for other in holder}
        while free in taken:
            free, number = f"{new_name}#{number}", number + 1
        self._new_names[id(holder), name] = free


def decode(encoded: bytes) -> Any:
    """Read JSON; raise ValueError or RecursionError where it is none or too deep."""
    try:
        return msgspec.json.decode(encoded)
    except msgspec.DecodeError:  # the standard library also reads lone surrogates, NaN and numbers of any size
        return json.loads(encoded)


def encode(value: Any) -> bytes:
    """Write JSON, lone surrogates as escapes."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def _digits(value: Any) -> str:
    """Write a whole number as its digits; anything else has none."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT_MAX:
        value = int(value)
    return str(value) if type(value) is int else ""


def _step(name: str | int) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if name.isidentifier() or (name and _PLAIN.issuperset(name)) else f"[{json.dumps(name)}]"
