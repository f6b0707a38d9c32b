"""`controlzero.context` holds for what is started inside the block: tasks, threads and pools' tasks, and for nothing else."""

import asyncio
import multiprocessing.pool
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from controlzero import context
from controlzero.ambient import _starting, facts

Note = Callable[[], object]


def in_thread(note: Note) -> None:
    thread = threading.Thread(target=note)
    thread.start()
    thread.join()


def in_thread_of_a_subclass(note: Note) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            note()

    worker = Worker()
    worker.start()
    worker.join()


def in_timer(note: Note) -> None:
    timer = threading.Timer(0, note)
    timer.start()
    timer.join()


def in_pool(note: Note) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(note).result()


def in_pool_by_map(note: Note) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: note(), range(1)))


def in_thread_of_a_thread(note: Note) -> None:
    in_thread(lambda: in_thread(note))


def in_task(note: Note) -> None:
    async def told() -> None:
        note()

    async def main() -> None:
        await asyncio.create_task(told())

    asyncio.run(main())


def in_loop_of_a_thread(note: Note) -> None:
    in_thread(lambda: in_task(note))


def in_executor_of_a_loop(note: Note) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, note)

    asyncio.run(main())


def in_to_thread(note: Note) -> None:
    asyncio.run(asyncio.to_thread(note))


PLACES = [
    in_thread, in_thread_of_a_subclass, in_timer, in_pool, in_pool_by_map, in_thread_of_a_thread, in_task, in_loop_of_a_thread,
    in_executor_of_a_loop, in_to_thread,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_block_holds_in_what_is_started_inside_and_not_in_what_is_started_after(place: Callable[[Note], None]) -> None:
    noted: list[object] = []
    with context(user_id="u1"):
        place(lambda: noted.append(facts()))
    place(lambda: noted.append(facts()))
    assert noted == [{"user_id": "u1"}, None]


def test_a_thread_keeps_the_facts_of_its_start_when_the_block_is_over() -> None:
    noted: list[object] = []
    may_go_on = threading.Event()

    def late() -> None:
        may_go_on.wait(10)
        noted.append(facts())

    with context(user_id="u1"):
        thread = threading.Thread(target=late)
        thread.start()
    may_go_on.set()
    thread.join()
    assert noted == [{"user_id": "u1"}]


def test_a_pools_thread_carries_no_block_from_one_task_to_the_next() -> None:
    with ThreadPoolExecutor(1) as pool:
        with context(user_id="first"):
            assert pool.submit(facts).result() == {"user_id": "first"}
        assert pool.submit(facts).result() is None
        with context(user_id="second"):
            assert pool.submit(facts).result() == {"user_id": "second"}
            with context(session_id="s"):
                assert pool.submit(facts).result() == {"user_id": "second", "session_id": "s"}


def test_a_thread_pool_of_multiprocessing_takes_nobodys_identity() -> None:
    """Its threads serve whoever asks later: to act under no name is safe, to act under another's is not."""
    with context(user_id="u1"), multiprocessing.pool.ThreadPool(1) as pool:
        assert pool.apply(facts) is None


def test_no_other_context_variable_of_the_host_is_carried_over() -> None:
    of_the_host: ContextVar[str] = ContextVar("of_the_host", default="unset")
    of_the_host.set("set")
    noted: list[str] = []
    with context(user_id="u1"):
        in_thread(lambda: noted.append(of_the_host.get()))
        in_pool(lambda: noted.append(of_the_host.get()))
    assert noted == ["unset", "unset"]


def test_what_a_task_raises_and_returns_is_as_without_a_block() -> None:
    def add(a: int, *, fn: int) -> int:
        return a + fn

    with context(user_id="u1"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(add, 1, fn=2).result() == 3
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()


@pytest.mark.parametrize("is_first", [True, False])
def test_threads_that_another_library_wraps_run_as_well(is_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As error trackers do it: the function under `run` is taken and called with the thread."""
    with context(user_id="u1"):
        ours = threading.Thread.start
    start = ours.__wrapped__ if is_first else ours  # type: ignore[attr-defined]

    def start_tracked(self: threading.Thread) -> None:
        function = getattr(self.run, "__func__", self.run)
        self.run = lambda: function(self)  # type: ignore[method-assign]
        start(self)

    monkeypatch.setattr(threading.Thread, "start", _starting(start_tracked) if is_first else start_tracked)
    noted: list[object] = []
    with context(user_id="u1"):
        in_thread(lambda: noted.append(facts()))
        in_thread_of_a_subclass(lambda: noted.append(facts()))
    assert noted == [{"user_id": "u1"}] * 2


def test_a_thread_is_taught_once_and_keeps_its_own_names() -> None:
    with context(user_id="u1"):
        taught = threading.Thread.start, ThreadPoolExecutor.submit
        with context(user_id="u2"):
            assert (threading.Thread.start, ThreadPoolExecutor.submit) == taught
    assert [each.__name__ for each in taught] == ["start", "submit"]
