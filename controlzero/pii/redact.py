"""Mask personal data and secrets where they stand, and leave a receipt for each."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate

from controlzero.pii.checks import APART
from controlzero.pii.digests import fingerprint, token
from controlzero.pii.find import might_hold, scan
from controlzero.pii.members import Members, decode, encode
from controlzero.pii.patterns import DETECTORS, VAULT_SECRET
from controlzero.records import NAME_CHARS_MAX, Redaction

# Taking a value away can free its neighbour, as in `a@b.co1.2.3.4`. Real text is done after two passes; one that is
# not after this many was made to resist, and is masked whole.
PASSES_MAX = 8
TEXT_CHARS_MAX = 16 << 20  # a longer one that might hold something is masked whole: to mask in it would hold up the agent
MASKS_KEPT_MAX = 4_096  # masks of values seen again and again, as in the turns of one conversation
RECEIPTS_MAX = 64  # for one JSON value; past it they say only how many of each type the whole of it held
UNREADABLE = "unreadable"  # the type in the mask of what could not be read: no JSON, endless, made to resist

# (place of the piece, in its name, type) → how often, and the fingerprint where all of them were one value
_Receipts = dict[tuple[int, bool, str], tuple[int, str | None]]


Known = Callable[[bytes], list[tuple[int, int, str]]]  # start and end in bytes, value


def _nothing(_: bytes) -> list[tuple[int, int, str]]:
    return []


class Masks:
    """The masks of one project: `[email:kdfbcaemph]` for a value, and its fingerprint. Keeps the latest to save time.

    `known` finds what is masked beside the patterns, and before them: secrets, of which nothing is kept.
    """

    __slots__ = ("_kept", "_key", "known")

    def __init__(self, key: bytes, known: Known = _nothing) -> None:
        self._key = key
        self._kept: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.known = known

    def of(self, type: str, value: str) -> tuple[bytes, str]:  # noqa: A002 - the product's word
        """Give the mask and the fingerprint of a value."""
        if type == VAULT_SECRET:
            digest = fingerprint(self._key, type, value)
            return f"[{type}:{token(digest)}]".encode(), digest
        kept = self._kept.get((type, value))
        if kept is None:
            if len(self._kept) >= MASKS_KEPT_MAX:
                self._kept.clear()
            digest = fingerprint(self._key, type, value)
            kept = self._kept[type, value] = (f"[{type}:{token(digest)}]".encode(), digest)
        return kept


class _ResistsError(Exception):
    """Masking did not come to an end."""


def redact_text(text: str, *, key: bytes, path: str) -> tuple[str, tuple[Redaction, ...]]:
    """Mask every value in a text; `find` finds nothing in what is returned. `path` names the field in the receipts."""
    return mask_text(text, masks=Masks(key), path=path) if might_hold(text.encode("utf-8", "surrogatepass")) else (text, ())


def redact_json(encoded: bytes, *, key: bytes, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    """Mask every value in the strings, object keys and whole numbers of encoded JSON; paths in receipts begin with `path`.

    JSON that could hold nothing is returned as it came. Any other is written anew, so that a duplicate key hides
    nothing; what cannot be read as JSON becomes an object that holds the mask of an unreadable value.
    """
    return mask_json(encoded, masks=Masks(key), path=path) if might_hold(encoded) else (encoded, ())


def mask_text(text: str, *, masks: Masks, path: str) -> tuple[str, tuple[Redaction, ...]]:
    """Do the work of `redact_text` on a text that might hold something, with the masks of a project at hand."""
    pieces = [text]
    try:
        receipts = _mask_pieces(pieces, [0], masks)
    except _ResistsError:
        return _unreadable(text, masks, path)
    return pieces[0], tuple([Redaction(path, type_, count, digest) for (_, _, type_), (count, digest) in receipts.items()])


def mask_json(encoded: bytes, *, masks: Masks, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    """Do the work of `redact_json` on JSON that might hold something, with the masks of a project at hand."""
    try:
        members = Members(decode(encoded))
        receipts = _mask_pieces(members.pieces, members.texts_at, masks)
        own = [(*where, *what) for where, what in receipts.items() if not (where[1] and members.is_item(where[0]))]
        members.put_back([one[:2] for one in own])
        written = encode(members.value)
    except (_ResistsError, ValueError, RecursionError):
        mask, unread = _unreadable(encoded.decode("utf-8", "replace"), masks, path)
        return encode({UNREADABLE: mask}), unread
    if len(own) > RECEIPTS_MAX:
        return written, folded([Redaction(path, type_, count, digest) for _, _, type_, count, digest in own])
    return written, tuple([Redaction(_cut(members.path(place, path)), type_, count, digest) for place, _, type_, count, digest in own])


def folded(receipts: Iterable[Redaction]) -> tuple[Redaction, ...]:
    """Make one receipt of those for the same path and type; it keeps a fingerprint they all have."""
    together: dict[tuple[str, str], Redaction] = {}
    for receipt in receipts:
        about = (receipt.path, receipt.type)
        other = together.get(about)
        same = receipt.fingerprint if other is None or other.fingerprint == receipt.fingerprint else None
        together[about] = Redaction(*about, receipt.count + (other.count if other else 0), same)
    return tuple(together.values())


def _mask_pieces(pieces: list[str], texts_at: list[int], masks: Masks) -> _Receipts:
    """Mask every value in the pieces until there is none, and count what was masked in the name or text of which."""
    receipts: _Receipts = {}
    for _ in range(PASSES_MAX):
        text = APART.join(pieces)
        if len(text) > TEXT_CHARS_MAX:
            break
        data = text.encode("utf-8", "surrogatepass")
        hits = [(start, end, VAULT_SECRET, value) for start, end, value in masks.known(data)] or [
            (start, end, DETECTORS[place].type, value) for start, end, place, value in scan(data)
        ]
        if not hits:
            return receipts
        lengths = [len(p) + 1 for p in pieces] if len(data) == len(text) else [len(p.encode("utf-8", "surrogatepass")) + 1 for p in pieces]
        starts = [0, *accumulate(lengths)]
        parts: list[bytes] = []
        place = end = limit = text_at = 0
        for start, stop, type_, value in hits:
            if start >= limit:  # the first in its piece: close the one before
                if parts:
                    pieces[place] = b"".join((*parts, data[end : limit - 1])).decode("utf-8", "surrogatepass")
                place = bisect_right(starts, start) - 1
                end, limit, parts = starts[place], starts[place + 1], []
                text_at = end + len(pieces[place][: texts_at[place]].encode("utf-8", "surrogatepass"))
            mask, digest = masks.of(type_, value)
            parts += (data[end:start], mask)
            end = stop
            in_name = start < text_at
            if in_name:
                texts_at[place] += len(mask) - len(data[start:stop].decode("utf-8", "surrogatepass"))
            where = (place, in_name, type_)
            count, same = receipts.get(where, (0, digest))
            receipts[where] = (count + 1, digest if same == digest else None)
        pieces[place] = b"".join((*parts, data[end : limit - 1])).decode("utf-8", "surrogatepass")
    raise _ResistsError


def _unreadable(text: str, masks: Masks, path: str) -> tuple[str, tuple[Redaction, ...]]:
    mask, digest = masks.of(UNREADABLE, text)
    return mask.decode(), (Redaction(path=_cut(path), type=UNREADABLE, fingerprint=digest),)


def _cut(path: str) -> str:
    return path if len(path) <= NAME_CHARS_MAX else path[: NAME_CHARS_MAX - 1] + "…"
