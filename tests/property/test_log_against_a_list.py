"""The embedded log against the simplest one that could be right: a list per partition."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controlzero.batch import partition_of
from topics.declarations import CONTROL, DECISIONS
from topics.log import Bounds
from topics.sqlite import SqliteLog

keys = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
messages = st.tuples(keys, st.none() | st.binary(max_size=2_000), st.dictionaries(st.sampled_from("xy"), st.text(max_size=3), max_size=2))


class LogAgainstAList(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cz-log-")
        self.path = Path(self.folder.name) / "log.db"
        self.log = SqliteLog(self.path)
        self.held: list[list[tuple[int, tuple[bytes, bytes | None, dict[str, str]]]]] = [[] for _ in range(DECISIONS.partitions)]
        self.bounds = [Bounds(0, 0) for _ in range(DECISIONS.partitions)]
        self.control: dict[bytes, tuple[int, bytes | None]] = {}
        self.control_end = 0

    @rule(batch=st.lists(messages, max_size=5))
    def append(self, batch: list[tuple[bytes, bytes | None, dict[str, str]]]) -> None:
        expected = []
        for message in batch:
            partition = partition_of(message[0], DECISIONS.partitions)
            end = self.bounds[partition].end
            self.held[partition].append((end, message))
            self.bounds[partition] = Bounds(self.bounds[partition].start, end + 1)
            expected.append((partition, end))
        assert self.log.append(DECISIONS.name, batch) == expected

    @rule(batch=st.lists(messages, max_size=4))
    def tell(self, batch: list[tuple[bytes, bytes | None, dict[str, str]]]) -> None:
        for key, value, _ in batch:
            self.control[key] = (self.control_end, value)
            self.control_end += 1
        self.log.append(CONTROL.name, batch)

    @rule(partition=st.integers(0, DECISIONS.partitions - 1), share=st.floats(0, 1))
    def trim(self, partition: int, share: float) -> None:
        before = int(self.bounds[partition].end * share)
        self.log.trim(DECISIONS.name, partition, before)
        self.held[partition] = [kept for kept in self.held[partition] if kept[0] >= before]
        self.bounds[partition] = Bounds(max(before, self.bounds[partition].start), self.bounds[partition].end)

    @rule()
    def restart(self) -> None:
        self.log.close()
        self.log = SqliteLog(self.path)

    @rule(partition=st.integers(0, DECISIONS.partitions - 1), share=st.floats(0, 1), bytes_max=st.integers(1, 5_000))
    def read(self, partition: int, share: float, bytes_max: int) -> None:
        offset = int(self.bounds[partition].end * share)
        wanted = [kept for kept in self.held[partition] if kept[0] >= offset]
        got = [(m.offset, (m.key, m.value, m.headers)) for m in self.log.read(DECISIONS.name, partition, offset, bytes_max=bytes_max)]
        assert got == wanted[: len(got)]
        assert got or not wanted

    @invariant()
    def it_is_the_list(self) -> None:
        for partition in range(DECISIONS.partitions):
            assert self.log.bounds(DECISIONS.name, partition) == self.bounds[partition]
            held = [(m.offset, (m.key, m.value, m.headers)) for m in self.log.read(DECISIONS.name, partition, 0, bytes_max=1 << 30)]
            assert held == self.held[partition]
        control = {m.key: (m.offset, m.value) for m in self.log.read(CONTROL.name, 0, 0, bytes_max=1 << 30)}
        assert control == self.control

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()


TestLogAgainstAList = LogAgainstAList.TestCase
TestLogAgainstAList.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
