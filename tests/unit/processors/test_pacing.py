"""When a worker lands, waits, backs off and ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controlzero.errors import Tampered, Unavailable
from processors import heartbeat
from processors.heartbeat import Heartbeat, Phase
from processors.pacing import Progress, Runner

Step = Progress | Exception | Callable[[], Progress]


class Scripted:
    """A worker whose ticks go as written; it is told to stop when the script is at its end."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.done: list[Step] = []
        self.runner: Runner | None = None
        self.heartbeat = Heartbeat(pid=1, at=0, started_at=0)
        self.phases: list[Phase] = []

    def tick(self) -> Progress:
        if not self.steps:
            assert self.runner is not None
            self.runner.stop()
            return "idle"
        step = self.steps.pop(0)
        self.done.append(step)
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def trim(self) -> None:
        pass

    def look(self, phase: Phase, error: str | None = None) -> Heartbeat:
        self.phases.append(phase)
        return Heartbeat(pid=1, at=0, started_at=0, phase=phase, last_error=error)


def run(worker: Scripted, folder: Path, *, tick_s: float = 0.0) -> Runner:
    worker.runner = Runner(worker, tick_s=tick_s, heartbeat_path=folder / "worker.json")
    worker.runner.run()
    return worker.runner


def test_it_lands_until_stopped_and_says_so(tmp_path: Path) -> None:
    worker = Scripted("landed", "more", "landed", "idle")
    run(worker, tmp_path)
    assert worker.steps == []
    beat = heartbeat.read(tmp_path / "worker.json")
    assert beat is not None
    assert beat.phase == "stopped"


def test_a_stopped_worker_lands_what_is_left_before_it_ends(tmp_path: Path) -> None:
    worker = Scripted()

    def stop() -> Progress:
        assert worker.runner is not None
        worker.runner.stop()
        return "more"

    worker.steps = [stop, "more", "landed", "landed", "idle", "landed"]
    run(worker, tmp_path)
    assert worker.done == [*worker.done[:1], "more", "landed", "landed", "idle"]


def test_told_twice_it_ends_with_the_tick_under_way(tmp_path: Path) -> None:
    worker = Scripted()

    def stop() -> Progress:
        assert worker.runner is not None
        worker.runner.stop()
        worker.runner.stop()
        return "more"

    worker.steps = [stop, "more", "more"]
    run(worker, tmp_path)
    assert worker.steps == ["more", "more"]


def test_what_is_unavailable_is_waited_for_and_told(tmp_path: Path) -> None:
    worker = Scripted("landed", Unavailable("the disk is full", retry_after_s=0.01), Unavailable("still", retry_after_s=0.01), "landed")
    run(worker, tmp_path)
    assert worker.steps == []
    assert worker.phases.count("waiting") == 2


def test_what_a_person_must_see_ends_it_and_is_told(tmp_path: Path) -> None:
    with pytest.raises(Tampered):
        run(Scripted("landed", Tampered("the log was replaced")), tmp_path)
    beat = heartbeat.read(tmp_path / "worker.json")
    assert beat is not None
    assert beat.phase == "failed"
    assert beat.last_error == "Tampered: the log was replaced"


def test_a_heartbeat_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    worker = Scripted("landed", "landed")
    run(worker, tmp_path / "not there")
    assert worker.steps == []
