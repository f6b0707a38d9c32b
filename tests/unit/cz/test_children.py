"""Parts that end are started again, whatever the day is like."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from cz.children import Child, Part, tended
from tests.waiting import until


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A part that writes a line and ends."""
    path = tmp_path / "part"
    path.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\n")
    path.chmod(0o700)
    return path


def runs(script: Path) -> int:
    written = script.parent / "runs"
    return len(written.read_text().splitlines()) if written.exists() else 0


@pytest.fixture
def child(script: Path) -> Iterator[Child]:
    child = Child(Part(name="part", command=(str(script),)), run=script.parent, environment={})
    child.start()
    yield child
    child.stop()


def test_a_part_that_cannot_be_started_is_told_and_tried_again(child: Child, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cz.children.RESTART_AFTER_S", (0.0, 0.1))
    said: list[str] = []
    until(lambda: child.pid is None, "the end of the part")
    aside = script.rename(script.with_suffix(".aside"))
    with tended([child], said.append):
        until(lambda: any("cannot be started" in each for each in said), "being told")
        assert runs(script) == 1
        aside.rename(script)
        until(lambda: runs(script) >= 2, "another run")


def test_parts_are_tended_when_nobody_can_be_told(child: Child, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cz.children.RESTART_AFTER_S", (0.0,))

    def say(_sentence: str) -> None:
        raise OSError(errno.ENOSPC, "the disk under the terminal's file is full")

    with tended([child], say):
        until(lambda: runs(script) >= 3, "another run, and one more")
