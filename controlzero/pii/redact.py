"""Mask personal data and secrets where they stand, and leave a receipt for each."""

from bisect import bisect_right
from collections import Counter
from itertools import accumulate, groupby
from operator import itemgetter

from controlzero.pii.checks import APART
from controlzero.pii.digests import fingerprint, token
from controlzero.pii.find import might_hold, scan
from controlzero.pii.members import Members, decode, encode
from controlzero.pii.patterns import DETECTORS
from controlzero.records import NAME_CHARS_MAX, Redaction

# Taking a value away can free its neighbour, as in `a@b.co1.2.3.4`. Real text is done after two passes; one that is
# not after this many was made to resist, and is masked whole.
PASSES_MAX = 8
TEXT_BYTES_MAX = 16 << 20  # a longer one is masked unread: searching and masking it would hold up the agent
MASKS_KEPT_MAX = 4_096  # masks of values seen again and again, as in the turns of one conversation
UNREADABLE = "unreadable"  # the type in the mask of what could not be read: no JSON, endless, made to resist

# (place of the piece, in its name, type, fingerprint) → how often
_Receipts = Counter[tuple[int, bool, str, str]]


class Masks:
    """The masks of one project: `[email:kdfbcaemph]` for a value, and its fingerprint. Keeps the latest to save time."""

    __slots__ = ("_kept", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._kept: dict[tuple[str, str], tuple[bytes, str]] = {}

    def of(self, type: str, value: str) -> tuple[bytes, str]:  # noqa: A002 - the product's word
        """Give the mask and the fingerprint of a value."""
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
    return mask_text(text, masks=Masks(key), path=path)


def redact_json(encoded: bytes, *, key: bytes, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    """Mask every value in the strings, object keys and whole numbers of encoded JSON; paths in receipts begin with `path`.

    JSON that could hold nothing is returned as it came. Any other is written anew, so that a duplicate key hides
    nothing; what cannot be read as JSON becomes an object that holds the mask of an unreadable value.
    """
    return mask_json(encoded, masks=Masks(key), path=path) if might_hold(encoded) else (encoded, ())


def mask_text(text: str, *, masks: Masks, path: str) -> tuple[str, tuple[Redaction, ...]]:
    """Do the work of `redact_text` with the masks of a project at hand."""
    pieces = [text.encode("utf-8", "surrogatepass")]
    try:
        receipts = _mask_pieces(pieces, [0], masks)
    except _ResistsError:
        mask, receipt = _unreadable(pieces[0], masks, path)
        return mask.decode(), receipt
    if not receipts:
        return text, ()
    listed = tuple(Redaction(path=path, type=t, count=count, fingerprint=f) for (_, _, t, f), count in receipts.items())
    return pieces[0].decode("utf-8", "surrogatepass"), listed


def mask_json(encoded: bytes, *, masks: Masks, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    """Do the work of `redact_json` on JSON that might hold something, with the masks of a project at hand."""
    try:
        members = Members(decode(encoded))
        receipts = _mask_pieces(members.pieces, members.texts_at, masks)
        own = {one: n for one, n in receipts.items() if not (one[1] and members.is_item(one[0]))}
        members.put_back(
            texts={place for place, in_name, _, _ in own if not in_name}, names={place for place, in_name, _, _ in own if in_name}
        )
        written = encode(members.value)
    except (_ResistsError, ValueError, RecursionError):
        mask, receipt = _unreadable(encoded, masks, path)
        return b'{"%s":"%b"}' % (UNREADABLE.encode(), mask), receipt
    counts: Counter[tuple[str, str, str]] = Counter()
    for (place, _, type_, digest), count in own.items():
        counts[_cut(members.path(place, path)), type_, digest] += count
    return written, tuple(Redaction(path=p, type=t, count=n, fingerprint=f) for (p, t, f), n in counts.items())


def _mask_pieces(pieces: list[bytes], texts_at: list[int], masks: Masks) -> _Receipts:
    """Mask every value in the pieces until there is none, and count what was masked in the name or text of which."""
    if sum(map(len, pieces)) > TEXT_BYTES_MAX:
        raise _ResistsError
    receipts: _Receipts = Counter()
    for _ in range(PASSES_MAX):
        data = APART.join(pieces)
        hits = scan(data)
        if not hits:
            return receipts
        starts = [0, *accumulate(len(piece) + 1 for piece in pieces)]
        placed = [(bisect_right(starts, hit[0]) - 1, hit) for hit in hits]
        for place, in_piece in groupby(placed, itemgetter(0)):
            origin = end = starts[place]
            text_at = texts_at[place]
            parts: list[bytes] = []
            for _, (start, stop, detector, value) in in_piece:
                mask, digest = masks.of(DETECTORS[detector].type, value)
                in_name = start - origin < text_at
                if in_name:
                    texts_at[place] += len(mask) - (stop - start)
                receipts[place, in_name, DETECTORS[detector].type, digest] += 1
                parts += (data[end:start], mask)
                end = stop
            pieces[place] = b"".join((*parts, data[end : starts[place + 1] - 1]))
    raise _ResistsError


def _unreadable(data: bytes, masks: Masks, path: str) -> tuple[bytes, tuple[Redaction, ...]]:
    mask, digest = masks.of(UNREADABLE, data.decode("utf-8", "replace"))
    return mask, (Redaction(path=_cut(path), type=UNREADABLE, fingerprint=digest),)


def _cut(path: str) -> str:
    return path if len(path) <= NAME_CHARS_MAX else path[: NAME_CHARS_MAX - 1] + "…"
