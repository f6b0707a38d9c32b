"""What a call cost: exactly as the table says it, or not at all."""

from datetime import date
from pathlib import Path

import pytest

from controlzero import Client, Rejected
from controlzero.integrations.prices import Spent, cost_usd, prices
from controlzero.integrations.usage import spent_of

TABLE = prices()
GPT = "gpt-4o-mini"


def test_every_price_says_as_of_when_and_by_whom() -> None:
    assert len(TABLE) > 80
    for price in TABLE.values():
        assert price.as_of >= date(2026, 1, 1)
        assert price.source
        assert 0 <= price.input < 1_000
        assert 0 <= price.output < 1_000


def test_tokens_are_priced_by_the_million_and_cached_ones_apart() -> None:
    assert cost_usd(Spent(GPT, 1_000_000, 1_000_000), TABLE) == 0.75
    assert cost_usd(Spent(GPT, 1_000_000, 0, cached_tokens=1_000_000), TABLE) == 0.075
    assert cost_usd(Spent("text-embedding-3-small", 1_000_000), TABLE) == 0.02
    assert cost_usd(Spent("claude-haiku-4-5", 300, 0, cached_tokens=100, cache_write_tokens=100), TABLE) == 0.000235


@pytest.mark.parametrize(
    "spent",
    [
        Spent(None, 1, 1),
        Spent("gpt-4o-mini-of-tomorrow", 1, 1),
        Spent(GPT, None, 1),
        Spent(GPT, 1, None),
        Spent(GPT, 1, 1, tier="flex"),
        Spent(GPT, 1, 1, has_extras=True),
        Spent("gpt-4", 2, 1, cached_tokens=1),
        Spent(GPT, 2, 1, cache_write_tokens=1),
        Spent("gpt-5.4", 272_001, 1),
    ],
)
def test_what_the_table_does_not_say_has_no_cost(spent: Spent) -> None:
    assert cost_usd(spent, TABLE) is None


def test_usage_is_read_as_each_provider_says_it() -> None:
    details = {"cached_tokens": 4, "audio_tokens": 0}
    openai = {
        "model": GPT,
        "service_tier": "default",
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": details},
    }
    assert spent_of(openai) == Spent(GPT, 9, 2, 4, 0, "default")
    usage = {
        "input_tokens": 5,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 1,
        "service_tier": "standard",
    }
    assert spent_of({"model": "claude", "usage": usage}) == Spent("claude", 9, 2, 3, 1, "standard")
    assert spent_of({"usage": usage | {"cache_creation": {"ephemeral_1h_input_tokens": 1}}}).has_extras
    assert spent_of({"usage": usage | {"server_tool_use": {"web_search_requests": 2}}}).has_extras


def test_a_file_of_ones_own_comes_before(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[[price]]\nmodels = ["mine", "gpt-4o-mini"]\ninput = 7\noutput = 8\nas_of = 2026-11-01\nsource = "our contract"\n')
    table = prices(own)
    assert cost_usd(Spent("mine", 1_000_000, 0), table) == 7
    assert cost_usd(Spent(GPT, 0, 1_000_000), table) == 8
    assert table["gpt-4"] == TABLE["gpt-4"]


@pytest.mark.parametrize(
    "text", ["[[price]]\nmodels = []", "no toml", "[[price]]\nmodels=['m']\ninput=-1\noutput=1\nas_of=2026-11-01\nsource='s'", None]
)
def test_a_file_that_is_none_is_refused_when_the_client_is_made(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "prices.toml"
    if text is not None:
        own.write_text(text)
    monkeypatch.setenv("CONTROLZERO_PRICES", str(own))
    with pytest.raises(Rejected, match="CONTROLZERO_PRICES"):
        Client(policy_file=tmp_path / "none.json")
