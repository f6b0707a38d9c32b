"""Workers killed, stopped, joining and leaving, the broker killed, messages sent twice and poison among them: counted at the end."""

from pathlib import Path

import pytest

from tests.kafka_reckoning import fought_and_counted


def test_everything_lands_once_whatever_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fought_and_counted(tmp_path, monkeypatch, seed=1, decisions=100_000, per_s=4_000, kills=5)
