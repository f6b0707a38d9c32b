"""One log file, several processes that append, read and trim it at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.dying_appenders import PARTITION, assert_kept, run_appender, value_of
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog

PROCESSES = 4
MESSAGES = 120


def test_processes_share_a_log_and_a_tail_sees_every_message_once(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    seen: list[int] = []
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = [pool.submit(run_appender, path, process * MESSAGES, MESSAGES, trims=False) for process in range(PROCESSES)]
        log = SqliteLog(path)
        while len(seen) < PROCESSES * MESSAGES and not all(run.done() for run in runs):
            for message in log.read(DECISIONS.name, PARTITION, len(seen), bytes_max=100_000):
                assert message.offset == len(seen)
                number = int((message.value or b"").partition(b" ")[0])
                assert message.value == value_of(number)
                seen.append(number)
        log.close()
    done = [run.result() for run in runs]
    assert [run.status for run in done] == [0] * PROCESSES
    assert [run.refused for run in done] == [[]] * PROCESSES
    for process in range(PROCESSES):
        own = [number for number in seen if number // MESSAGES == process]
        assert own == sorted(own)
    assert assert_kept(path, [number for run in done for number in run.appended], 0, repeats=False) == PROCESSES * MESSAGES


def test_processes_that_trim_one_log_lose_nothing_that_was_not_trimmed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = list(pool.map(lambda process: run_appender(path, process * MESSAGES, MESSAGES), range(PROCESSES)))
    assert [(run.status, run.refused) for run in runs] == [(0, [])] * PROCESSES
    log = SqliteLog(path)
    bounds = log.bounds(DECISIONS.name, PARTITION)
    held = log.read(DECISIONS.name, PARTITION, 0, bytes_max=1 << 30)
    assert [message.offset for message in held] == list(range(bounds.start, bounds.end))
    assert bounds.end == PROCESSES * MESSAGES
    assert bounds.start == max(run.trimmed_below for run in runs)
    log.close()
