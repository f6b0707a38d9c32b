"""What a call offers as resources, which rules they meet, and the index that finds those without asking each rule.

Beside the explicit resource every top-level scalar argument offers `key/value`; of a list or an object a deny rule sees
every scalar, another rule all elements or nothing.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from controlzero.policy.canonical import is_scalar, scalars, text
from controlzero.policy.conditions import Answer, quantified
from controlzero.policy.globs import Glob, Matcher, any_matcher, matcher, matches_around
from controlzero.policy.request import MASK, Masked, Request, Viewed

ENTRIES_KEPT_MAX = 200_000  # places kept ready over all nodes of an index: nested prefixes must not cost their square
OFFERS = "offers."  # before an argument's key: what its masked values offer, as facts name it


class Resources(Struct, frozen=True):
    """The resources a rule is about. `everything` also matches a call without any."""

    everything: bool
    globs: tuple[Glob, ...]
    passes: Matcher


def compile_resources(globs: Sequence[Glob]) -> Resources:
    """Compile the resource patterns of a rule."""
    return Resources(any(each.is_everything for each in globs), tuple(globs), any_matcher(globs))


class Offer(Struct, frozen=True):
    """What one argument (or the explicit resource) offers: texts, or `Masked` where they are known only in part.

    `elements` is None where a rule other than a deny sees nothing.
    """

    key: str
    scalars: Sequence[str | Masked]
    elements: Sequence[str | Masked] | None


def offers(request: Request) -> Iterator[Offer]:
    """Yield what a call offers, the explicit resource first."""
    if request.resource is not None:
        explicit = (_with_answers(request.resource, request.facts.get("resource")),)
        yield Offer("resource", explicit, explicit)
    if request.reached is not None:
        yield Offer("resource", (request.reached,), None)
    if request.masked and "offers" in request.masked:
        yield from _hidden_offers(request)
    for key, value in request.args.items():
        if value is None or "/" in key:
            continue
        if "offers" in request.masked and MASK.search(key):
            continue
        seen = [offered(key, scalar) for scalar in scalars(value)]
        noted = request.facts.get(OFFERS + key)
        if isinstance(noted, Viewed) and len(noted.scalars) != len(seen):  # an object whose keys are masked hides how many there are
            yield Offer(f"args.{key}", noted.scalars, noted.elements or None)  # type: ignore[arg-type]  # facts hold `Masked` there
            continue
        if isinstance(noted, Viewed):
            seen = [_with_answers(each, answers) for each, answers in zip(seen, noted.scalars, strict=True)]
        listed = value if isinstance(value, (list, tuple)) else (value,)
        yield Offer(f"args.{key}", seen, seen if seen and all(map(_offers_itself, listed)) else None)


def _hidden_offers(request: Request) -> Iterator[Offer]:
    """Yield what arguments offered whose keys are hidden: as noted, and that there may have been more."""
    for key, noted in request.facts.items():
        if key.startswith(OFFERS) and key[len(OFFERS) :] not in request.args:
            seen = noted if isinstance(noted, Viewed) else Viewed((Masked(),), (Masked(),))
            yield Offer("args", seen.scalars, seen.elements or None)  # type: ignore[arg-type]  # facts hold `Masked` there
    yield Offer("args", (request.masked["offers"],), (request.masked["offers"],))


def offered(key: str, scalar: object) -> str | Masked:
    """Return `key/value`, the resource a scalar argument offers."""
    if not isinstance(scalar, Masked):
        return f"{key}/{text(scalar)}"
    if scalar.is_object:  # it may hold any number of scalars, or none
        return Masked((f"{key}/", ""), is_object=True)
    return Masked((f"{key}/{scalar.pieces[0]}", *scalar.pieces[1:]))


def _offers_itself(value: object) -> bool:
    return is_scalar(value) and not (isinstance(value, Masked) and value.is_object)


def _with_answers(each: str | Masked, noted: object) -> str | Masked:
    """Add to what is still known of an offer the answers noted while all of it was."""
    if isinstance(each, str) or not isinstance(noted, Masked):
        return each
    return Masked(each.pieces, noted.holds, noted.recorded, noted.undecided)


def resource_answer(resources: Resources, request: Request, *, is_deny: bool) -> tuple[Answer, str]:
    """Tell whether a call offers what a rule is about, and if that is unknown the key that hides it."""
    if resources.everything:
        return True, ""
    hidden = ""
    for offer in offers(request):
        seen = offer.scalars if is_deny else offer.elements
        if seen:
            met = quantified((_met(resources, each) for each in seen), is_deny=is_deny)
            if met:
                return True, ""
            if met is None:
                hidden = hidden or offer.key
    return (None, hidden) if hidden else (False, "")


def _met(resources: Resources, each: str | Masked) -> Answer:
    if not isinstance(each, Masked):
        return resources.passes(each)
    answers = [
        wanted.pattern in each.holds
        if wanted.pattern in each.recorded
        else wanted.pattern in each.holds or matches_around(wanted, each.pieces)
        for wanted in resources.globs
    ]
    if True in answers and not each.is_object:
        return True
    return False if all(answer is False for answer in answers) else None


def named_resource(resources: Resources | None, request: Request) -> str | None:
    """Return the resource to record where none was explicit: the one the deciding rule named, else the only scalar."""
    singles = [offered(key, value) for key, value in request.args.items() if is_scalar(value) and "/" not in key]
    if resources is not None and not resources.everything:
        candidates = [each for offer in offers(request) for each in offer.scalars]
        named = [each for each in candidates if isinstance(each, str) and resources.passes(each)]
        if named:
            return min(named)
    return singles[0] if len(singles) == 1 and isinstance(singles[0], str) else None


Entry = tuple[int, Matcher | None]  # a rule's place, and what the text must still pass to meet it (None: it does already)


class ResourceIndex:
    """Finds, for one text, the places of the rules it may meet, in order: literals by look-up, prefixes by bisection.

    `settles(place)` tells that a rule decides once its resource is met; what comes after it is cut.
    """

    def __init__(self, rules: Iterable[tuple[int, Resources, bool]]) -> None:
        self._settling: set[int] = set()
        self._always: list[Entry] = []
        self._literals: dict[str, list[int]] = {}
        own: dict[str, list[int]] = {}
        keys: set[str] = set()
        self.is_loose = False  # some pattern fits arguments of any key
        for place, resources, settles in rules:
            if settles:
                self._settling.add(place)
            if resources.everything:
                self._always.append((place, None))
                continue
            for each in resources.globs:
                head, slash, _ = each.head.partition("/")
                if slash:
                    keys.add(head)
                elif not each.is_literal:
                    self.is_loose = True
                if each.is_literal:
                    self._literals.setdefault(each.head, []).append(place)
                elif each.is_prefix:
                    own.setdefault(each.head, []).append(place)
                else:
                    self._always.append((place, matcher(each)))
        self.keys = frozenset(keys)
        self._prefixes = sorted(own)
        self._own = [own[prefix] for prefix in self._prefixes]
        self._parents = _parents(self._prefixes)
        self._nodes: dict[tuple[str | None, int], tuple[Entry, ...]] = {}
        self._kept = 0
        self._without = tuple(entry for entry in self._entries((None, -1)) if entry[1] is None)

    def entries(self, text: str | None) -> tuple[Entry, ...]:
        """Return what the text may meet, by place, up to the first that surely decides; None is a call without any."""
        if text is None:
            return self._without
        at = bisect_right(self._prefixes, text) - 1
        while at >= 0 and not text.startswith(self._prefixes[at]):
            at = self._parents[at]
        node = (text if text in self._literals else None, at)
        found = self._nodes.get(node)
        return self._entries(node) if found is None else found

    def _entries(self, node: tuple[str | None, int]) -> tuple[Entry, ...]:
        literal, at = node
        sure = set(self._literals[literal]) if literal is not None else set()
        while at >= 0:
            sure.update(self._own[at])
            at = self._parents[at]
        sure.update(place for place, check in self._always if check is None)
        settled = min((place for place in sure if place in self._settling), default=None)
        perhaps = [(place, check) for place, check in self._always if check is not None and place not in sure]
        merged: list[Entry] = sorted([*((place, None) for place in sure), *perhaps], key=lambda entry: entry[0])
        found = tuple(entry for entry in merged if settled is None or entry[0] <= settled)
        if self._kept + len(found) <= ENTRIES_KEPT_MAX:
            self._kept += len(found)
            self._nodes[node] = found
        return found


def _parents(prefixes: Sequence[str]) -> list[int]:
    """Return for each prefix the place of the longest other that it starts with, or -1."""
    parents: list[int] = []
    open_places: list[int] = []
    for place, prefix in enumerate(prefixes):
        while open_places and not prefix.startswith(prefixes[open_places[-1]]):
            open_places.pop()
        parents.append(open_places[-1] if open_places else -1)
        open_places.append(place)
    return parents
