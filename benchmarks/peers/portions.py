"""What every driver does with messages: the same work, in the same portions."""

import json
import sys
import time

from processors.holes import prove
from processors.settings import Settings
from processors.taking import PORTION, Meter
from processors.work import open_work, settle
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.log import Message
from topics.settings import KafkaSettings


class Portions:
    """Lands messages a portion at a time; knows how many there are, and says at the end what CPU time they took."""

    def __init__(self, expected: int) -> None:
        self._log = KafkaLog(KafkaSettings())
        self._work = open_work(Settings(), self._log)
        settle()
        self._work.begin(range(self._log.partitions(DECISIONS.name)))
        self._expected, self._taken = expected, 0
        self._meter = Meter(PORTION)
        self._began_s = 0.0

    def take(self, message: Message) -> None:
        """Hold a message; land what is held where a commit is full, and at the end. Time begins with the first, as ours does."""
        if not self._taken:
            self._began_s = time.process_time()
        if not self._meter.admits(message):
            self._land()
            self._meter.admits(message)
        self._taken += 1
        if self._taken == self._expected:
            self._land()
            json.dump({"cpu_s": time.process_time() - self._began_s}, sys.stdout)
            sys.stdout.flush()

    @property
    def is_over(self) -> bool:
        """Whether all has landed."""
        return self._taken >= self._expected

    def _land(self) -> None:
        messages = self._meter.messages
        self._work.land(messages, proven_empty=prove(self._log, messages, self._work.offsets))
        self._meter = Meter(PORTION)
