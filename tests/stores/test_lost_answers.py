"""Whatever is lost between a worker and the object store, or the worker itself: what landed landed once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from controlzero.errors import Unavailable
from tests.s3_server import S3Server
from tests.stores.losing_proxy import Fate, LosingProxy
from tests.stores.test_ledger_in_a_bucket import COUNTS, counts, data_files
from tests.waiting import until
from warehouse.delta_log import DeltaLog
from warehouse.lander import Lander
from warehouse.testing import a_landing, an_app_id, ids
from warehouse.verification import damages

pytestmark = pytest.mark.needs("s3")

LANDS = """
import sys, time, uuid
from pathlib import Path
from warehouse.lander import Lander
from warehouse.stores import Bucket
from warehouse.testing import a_landing
lander = Lander(Bucket(url=sys.argv[1], cache=Path(sys.argv[2]), cache_bytes_max=1 << 30, allow_http=True),
                clock=lambda: time.time_ns() // 1000, new_id=lambda: uuid.uuid4().hex)
print("open", flush=True)
lander.land(a_landing(range(2, 4)))
print("landed", flush=True)
"""


class Judge:
    """Passes everything, until it is told what to do with commits."""

    def __init__(self) -> None:
        self.fates: list[Fate] = []
        self.on_commit = threading.Event()
        self.held: threading.Event | None = None

    def __call__(self, head: str) -> Fate:
        if not head.startswith("PUT") or "_delta_log/0" not in head:
            return "pass"
        self.on_commit.set()
        if self.held:
            self.held.wait(30)
        return self.fates.pop(0) if self.fates else "pass"


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def proxy(s3: S3Server, judge: Judge) -> Iterator[LosingProxy]:
    proxy = LosingProxy(s3.address, judge)
    yield proxy
    proxy.close()


@pytest.fixture
def through(proxy: LosingProxy) -> str:
    """The URL of a proxy to the server."""
    return proxy.url


def test_a_commit_whose_answer_is_lost_is_made_once(bucket, through, judge, clock, ask, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", through)
    lander = Lander(bucket, clock=clock, new_id=ids())
    judge.fates = ["lose the answer"]
    lander.land(a_landing(range(2)))
    assert judge.fates == []
    lander.land(a_landing(range(2, 3)))
    assert ask(COUNTS) == [counts(3)]
    assert data_files(bucket) == set(DeltaLog(bucket).files)


def test_a_commit_that_never_arrives_is_made_when_it_is_tried_again(bucket, through, judge, clock, ask, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", through)
    lander = Lander(bucket, clock=clock, new_id=ids())
    judge.fates = ["lose the request"] * 20
    with pytest.raises(Unavailable, match="does not take part"):
        lander.land(a_landing(range(2)))
    judge.fates = []
    lander.land(a_landing(range(2)))
    assert ask(COUNTS) == [counts(2)]


def test_a_commit_that_arrives_after_it_was_given_up_is_the_one_that_counts(bucket, through, proxy, judge, clock, ask, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", through)
    lander = Lander(bucket, clock=clock, new_id=ids())
    judge.fates = ["lose the request"] * 20
    with pytest.raises(Unavailable):
        lander.land(a_landing(range(2)))
    judge.fates = []
    answers = proxy.deliver()
    assert answers[0] == 200
    assert set(answers[1:]) <= {412}
    lander.land(a_landing(range(3)))
    assert ask(COUNTS) == [counts(3)]
    assert list(damages(bucket)) == []


@pytest.mark.parametrize("fate", ["lose the request", "lose the answer"])
def test_a_lander_killed_at_its_commit_lands_once_when_it_is_started_again(bucket, elsewhere, through, judge, clock, ask, fate):
    """Its data files are there, and its commit either not, or without its knowing."""
    Lander(bucket, clock=clock, new_id=ids()).land(a_landing(range(2)))
    judge.held, judge.fates = threading.Event(), [fate]
    environment = {**os.environ, "AWS_ENDPOINT_URL": through}
    worker = subprocess.Popen(
        [sys.executable, "-c", LANDS, bucket.url, str(elsewhere.cache)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert judge.on_commit.wait(60)
    if fate == "lose the answer":
        judge.held.set()
        until(lambda: DeltaLog(bucket).transaction_version(an_app_id()) == 4, "the commit")
    os.kill(worker.pid, signal.SIGKILL)
    judge.held.set()
    assert worker.communicate(timeout=30)[0] == "open\n"
    judge.held, judge.fates = None, []
    again = Lander(bucket, clock=clock, new_id=ids(1 << 40))
    assert again.landed([an_app_id()]) == {an_app_id(): 4 if fate == "lose the answer" else 2}
    again.land(a_landing(range(2, 5)))
    assert ask(COUNTS) == [counts(5)]
    assert list(damages(replace(bucket, cache=elsewhere.cache))) == []
