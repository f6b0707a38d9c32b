"""What an answer of a model says it took, whichever provider gave it, and be it a model, JSON or raw bytes."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from controlzero.integrations.prices import Spent

NOTHING_SAID = Spent()
ANSWER_BYTES_MAX = 16 * 2**20  # of a raw body; a larger one (speech, images) is not parsed for its usage
STANDARD_PLACES = (None, "global", "not_available")  # elsewhere a model may cost more


def spent_of(answer: Any) -> Spent:
    """Return what an answer, or one item of a streamed one, says of its model and tokens."""
    spent = NOTHING_SAID
    for whole in (answer, part(answer, "response"), part(answer, "message")):  # items of streams wrap the answer
        if whole is not None and not isinstance(whole, str | bytes):
            spent = together(spent, _spent(whole))
    return spent


def spent_of_body(body: bytes) -> Spent:
    """Return what the bytes of an answer say, which may be no JSON at all."""
    if len(body) > ANSWER_BYTES_MAX or body.lstrip()[:1] != b"{":
        return NOTHING_SAID
    try:
        return spent_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOTHING_SAID


def together(earlier: Spent, later: Spent) -> Spent:
    """Return what two parts of one answer say: the later word counts, where it says anything."""
    if later == NOTHING_SAID:
        return earlier
    said = {name: value for name, value in structs.asdict(later).items() if value}
    return structs.replace(earlier, **said)


def part(whole: Any, name: str) -> Any:
    """Return a part of an answer, be it a model or plain JSON."""
    return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)


def _spent(answer: Any) -> Spent:
    model, tier = part(answer, "model"), part(answer, "service_tier")
    model = model if isinstance(model, str) else None
    usage = part(answer, "usage")
    if usage is None:
        return Spent(model, tier=tier if isinstance(tier, str) else None)
    tier = part(usage, "service_tier") or tier
    written = _count(usage, "cache_creation_input_tokens")
    read_beside = _count(usage, "cache_read_input_tokens")
    input_tokens = _count(usage, "prompt_tokens")
    if input_tokens is not None:
        written = read_beside = None  # all are in it, whoever else says so too
    else:
        input_tokens = _count(usage, "input_tokens")
    if input_tokens is not None:
        input_tokens += (written or 0) + (read_beside or 0)  # Anthropic counts the cache's tokens beside the others
    details = part(usage, "prompt_tokens_details") or part(usage, "input_tokens_details")
    return Spent(
        model,
        input_tokens,
        _count(usage, "completion_tokens", "output_tokens"),
        (read_beside or 0) + (_count(details, "cached_tokens") or 0),
        (written or 0) + (_count(details, "cache_write_tokens", "cache_creation_tokens") or 0),
        tier if isinstance(tier, str) else None,
        _has_extras(usage, details),
    )


def _has_extras(usage: Any, details: Any) -> bool:
    out = part(usage, "completion_tokens_details") or part(usage, "output_tokens_details")
    searches = part(usage, "server_tool_use")
    return (
        any(_count(where, "audio_tokens", "image_tokens") for where in (details, out))
        or any(_count(searches, name) for name in ("web_search_requests", "code_execution_requests"))
        or bool(_count(part(usage, "cache_creation"), "ephemeral_1h_input_tokens"))
        or part(usage, "inference_geo") not in STANDARD_PLACES
        or part(usage, "speed") not in (None, "standard")
    )


def _count(where: Any, *names: str) -> int | None:
    for name in names:
        count = None if where is None else part(where, name)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
    return None
