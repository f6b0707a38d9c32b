"""A million decisions through workers that are killed twenty times and more, by several seeds."""

from pathlib import Path

import pytest

from tests.kafka_reckoning import fought_and_counted


@pytest.mark.needs("kafka")
@pytest.mark.parametrize("seed", [11, 12])
def test_a_million_decisions_land_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    fought_and_counted(tmp_path, monkeypatch, seed=seed, decisions=1_000_000, per_s=5_000, kills=20)
