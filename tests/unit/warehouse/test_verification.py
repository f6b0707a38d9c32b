"""Rot is found: a flipped bit, a short file, a missing one."""

import pytest

from warehouse.testing import a_landing
from warehouse.verification import damages


@pytest.fixture
def file(lander, ledger):
    lander.land(a_landing(range(2)))
    return next(ledger.glob("kind=decision/*/*.parquet"))


def test_a_sound_ledger_has_no_damage(file, ledger):
    assert list(damages(ledger)) == []


def test_a_flipped_bit_is_found(file, ledger):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (damage,) = damages(ledger)
    assert damage.path == str(file.relative_to(ledger))
    assert "not those that were written" in damage.problem


def test_a_short_file_is_found(file, ledger):
    file.write_bytes(file.read_bytes()[:-1])
    (damage,) = damages(ledger)
    assert "were written" in damage.problem


def test_a_missing_file_is_found(file, ledger):
    file.unlink()
    (damage,) = damages(ledger)
    assert "No such file" in damage.problem
