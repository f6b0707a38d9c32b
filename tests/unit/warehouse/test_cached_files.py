"""What is kept on this machine of a ledger on an object store: sound, in use, and no more than it may be."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from controlzero.errors import Tampered
from warehouse.cached_files import STAYS_S, CachedFiles

KILOBYTE = 1_000


def name_of(content: bytes, unique: int = 0) -> str:
    return f"kind=tally/received_month=2026-11/l-{unique}-{hashlib.sha256(content).hexdigest()}.parquet"


def used_long_ago(cached: CachedFiles, name: str, *, ago_s: float) -> None:
    at = time.time() - STAYS_S - ago_s
    os.utime(cached.path(name), (at, cached.path(name).stat().st_mtime))


def held(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("kind=*/*/*")}


def test_what_was_fetched_is_there(tmp_path):
    cached = CachedFiles(tmp_path, bytes_max=100 * KILOBYTE)
    name = name_of(b"rows")
    assert not cached.has(name)
    cached.fill(name, [b"ro", b"ws"])
    assert cached.has(name)
    assert cached.path(name).read_bytes() == b"rows"


def test_what_is_not_what_was_put_is_refused_and_not_kept(tmp_path):
    cached = CachedFiles(tmp_path, bytes_max=100 * KILOBYTE)
    with pytest.raises(Tampered, match="not those that were written"):
        cached.fill(name_of(b"rows"), [b"rots"])
    assert held(tmp_path) == set()


def test_what_a_power_cut_tore_is_not_there_for_the_next_process(tmp_path):
    name = name_of(b"rows")
    CachedFiles(tmp_path, bytes_max=100 * KILOBYTE).keep(name, b"rows")
    (tmp_path / name).write_bytes(b"ro")
    assert not CachedFiles(tmp_path, bytes_max=100 * KILOBYTE).has(name)


def test_what_was_used_longest_ago_makes_room(tmp_path):
    cached = CachedFiles(tmp_path, bytes_max=10 * KILOBYTE)
    names = [name_of(bytes([number]) * 2 * KILOBYTE, number) for number in range(8)]
    for number, name in enumerate(names[:5]):
        cached.keep(name, bytes([number]) * 2 * KILOBYTE)
        used_long_ago(cached, name, ago_s=100 - number)
    assert cached.has(names[0])  # which uses it
    for number, name in enumerate(names[5:], start=5):
        cached.keep(name, bytes([number]) * 2 * KILOBYTE)
    assert held(tmp_path) == {names[0], names[4], *names[5:]}


def test_a_file_that_is_used_does_not_look_changed(tmp_path):
    cached = CachedFiles(tmp_path, bytes_max=100 * KILOBYTE)
    name = name_of(b"rows")
    cached.keep(name, b"rows")
    os.utime(cached.path(name), (1_000, 1_000))
    assert cached.has(name)
    assert cached.path(name).stat().st_mtime == 1_000


def test_what_is_in_use_stays_even_where_there_is_too_much(tmp_path):
    cached = CachedFiles(tmp_path, bytes_max=3 * KILOBYTE)
    names = [name_of(bytes([number]) * 2 * KILOBYTE, number) for number in range(3)]
    for number, name in enumerate(names):
        cached.keep(name, bytes([number]) * 2 * KILOBYTE)
    assert held(tmp_path) == set(names)
