"""A disk that is truly full, or mounted read-only: a clear error, nothing accepted is lost, and landing goes on by itself."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero.errors import Unavailable
from tests.crash.killed_ledger import MESSAGES, NOW, landed_once, nothing_left_over
from warehouse.compaction import Compactor
from warehouse.lander import Lander
from warehouse.testing import a_landing, an_app_id, ids

SIZE = "1m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("not run without the right to mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def filled(disk: Path) -> Path:
    """Fill what is left of a disk; return the file to remove for room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def test_a_full_disk_is_waited_for(small_disk: Path):
    ledger = small_disk / "warehouse" / "ledger"
    lander = Lander(ledger, clock=lambda: NOW, new_id=ids())
    lander.land(a_landing(range(2)))
    ballast = filled(small_disk)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"No space left on device.*[Nn]othing accepted is lost") as refused:
            lander.land(a_landing(range(2, MESSAGES)))
        assert refused.value.retry_after_s
    assert lander.landed([an_app_id()]) == {an_app_id(): 2}
    ballast.unlink()
    lander.land(a_landing(range(2, MESSAGES)))
    landed_once(ledger)
    nothing_left_over(ledger)


def test_a_compactor_without_room_leaves_the_ledger_as_it_was(small_disk: Path):
    ledger = small_disk / "warehouse" / "ledger"
    lander = Lander(ledger, clock=lambda: NOW, new_id=ids())
    for offset in range(MESSAGES):
        lander.land(a_landing(range(offset, offset + 1)))
    compactor = Compactor(ledger, clock=lambda: NOW, new_id=ids(1 << 40))
    ballast = filled(small_disk)
    with pytest.raises(Unavailable, match="No space left"):
        compactor.compact()
    landed_once(ledger)
    ballast.unlink()
    assert compactor.compact() > 0
    landed_once(ledger)
    nothing_left_over(ledger)


def test_a_disk_mounted_read_only_is_waited_for(small_disk: Path):
    ledger = small_disk / "warehouse" / "ledger"
    lander = Lander(ledger, clock=lambda: NOW, new_id=ids())
    lander.land(a_landing(range(2)))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(Unavailable, match="Read-only file system"):
        lander.land(a_landing(range(2, 4)))
    with pytest.raises(Unavailable, match="Read-only file system"):
        Compactor(ledger, clock=lambda: NOW, new_id=ids(1 << 30)).compact()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    lander.land(a_landing(range(2, 4)))
    landed_once(ledger)
    nothing_left_over(ledger)


def test_a_folder_that_may_not_be_written_names_itself(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match="Permission denied"):
        Lander(tmp_path / "ledger", clock=lambda: NOW, new_id=ids())
