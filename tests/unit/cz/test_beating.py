import os
from pathlib import Path

import pytest

from cz.beating import SILENT_AFTER_S, is_beating

BEATEN_AT_S = 1_790_000_000.0


def beat(run: Path, name: str) -> None:
    (run / name).touch()
    os.utime(run / name, (BEATEN_AT_S, BEATEN_AT_S))


@pytest.mark.parametrize(
    ("file", "name", "is_well"),
    [
        ("keeper.json", "keeper", True),
        ("worker-here-7.json", "worker", True),
        ("worker-elsewhere-7.json", "worker", False),
        ("keeper.json", "watch", False),
        ("keeper.lock", "keeper", False),
    ],
)
def test_a_process_is_well_where_it_said_so_on_this_host(tmp_path: Path, file: str, name: str, is_well: bool) -> None:
    beat(tmp_path, file)
    assert is_beating(tmp_path, name, host="here", now_s=BEATEN_AT_S + 1) is is_well


def test_a_process_that_has_been_silent_is_not_well(tmp_path: Path) -> None:
    beat(tmp_path, "keeper.json")
    assert is_beating(tmp_path, "keeper", host="here", now_s=BEATEN_AT_S + SILENT_AFTER_S - 0.1)
    assert not is_beating(tmp_path, "keeper", host="here", now_s=BEATEN_AT_S + SILENT_AFTER_S)
