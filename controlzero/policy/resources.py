"""What a call offers as resources, and whether a rule is about one of them.

Beside the explicit resource every top-level scalar argument offers `key/value`; of a list or an object a deny rule sees
every scalar, another rule all elements or nothing.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from controlzero.policy.canonical import is_scalar, scalars, text
from controlzero.policy.conditions import Answer, quantified
from controlzero.policy.globs import Glob, Matcher, any_matcher, matches_around
from controlzero.policy.request import MASK, Masked, Request, Viewed

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
    if resources is not None and not resources.everything:
        candidates = [each for offer in offers(request) for each in offer.scalars]
        named = [each for each in candidates if isinstance(each, str) and resources.passes(each)]
        if named:
            return min(named)
    return _only_scalar(request.args)


def _only_scalar(args: Mapping[str, object]) -> str | None:
    found = None
    for key, value in args.items():
        if is_scalar(value) and "/" not in key:
            if found is not None:
                return None
            found = offered(key, value)
    return found if isinstance(found, str) else None
