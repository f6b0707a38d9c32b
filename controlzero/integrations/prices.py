"""What a call cost, by a dated table of prices that anybody may correct: `prices.toml`, and before it a file of your own."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from controlzero.errors import Rejected

SHIPPED = Path(__file__).with_name("prices.toml")
PER = 1_000_000  # prices are for so many tokens
STANDARD_TIERS = (None, "default", "standard")  # other service tiers have prices of their own


Dollars = Annotated[float, Meta(ge=0)]


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What models of one price cost: US dollars per million tokens, as `source` said on `as_of`."""

    models: tuple[str, ...]
    input: Dollars
    output: Dollars
    as_of: date
    source: str
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    input_tokens_max: int | None = None


class Spent(Struct, frozen=True):
    """What an answer says it took. `input_tokens` are all that went in, those of the cache included."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    tier: str | None = None
    has_extras: bool = False  # charged by more than tokens of text: audio, searches


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    price: tuple[Price, ...]


@cache
def prices(own: Path | None = None) -> Mapping[str, Price]:
    """Return the price of each model: what is shipped, changed by the file `own`. Raises `Rejected` for one that cannot be read."""
    table = {model: price for price in _read(SHIPPED) for model in price.models}
    if own is not None:
        table |= {model: price for price in _read(own) for model in price.models}
    return table


def cost_usd(spent: Spent, table: Mapping[str, Price]) -> float | None:
    """Return what was spent in US dollars, None where the table does not say it exactly."""
    price = None if spent.model is None else table.get(spent.model)
    if price is None or spent.input_tokens is None or spent.has_extras or spent.tier not in STANDARD_TIERS:
        return None
    if spent.output_tokens is None and price.output:
        return None
    if price.input_tokens_max is not None and spent.input_tokens > price.input_tokens_max:
        return None
    parts = (
        (max(0, spent.input_tokens - spent.cached_tokens - spent.cache_write_tokens), price.input),
        (spent.cached_tokens, price.cached_input),
        (spent.cache_write_tokens, price.cache_write),
        (spent.output_tokens or 0, price.output),
    )
    if any(tokens and each is None for tokens, each in parts):
        return None
    return round(sum(tokens * (each or 0.0) for tokens, each in parts) / PER, 9)


def _read(file: Path) -> tuple[Price, ...]:
    try:
        plain = tomllib.loads(file.read_text(encoding="utf-8"))
        return msgspec.convert(plain, _File).price
    except OSError as error:
        raise Rejected(f"prices `{file}`: cannot be read ({error.strerror}); expected a file such as {SHIPPED.name}") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise Rejected(f"prices `{file}`: {error}; expected [[price]] tables with models, input, output, as_of and source") from None
