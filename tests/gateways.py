"""A gateway as a process of its own, over a folder whose log knows a key: what tests of its HTTP drive."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from controlzero.batch import Batch
from controlzero.records import AGENT_RECORDS, Record, encode_record
from controlzero.testing import a_decision
from tests.environments import without_ours
from tests.waiting import until, until_up
from topics.batches import decode_batch, expand_lines
from topics.control import BundleRecord, ControlRecord, KeyRecord, ProjectRecord, control_key, encode_control
from topics.declarations import CONTROL, DECISIONS
from topics.sqlite import SqliteLog

SECRET = "cz_live_a_key_for_tests"
OTHER_SECRET = "cz_live_a_key_for_two_projects"
REVOKED_SECRET = "cz_live_a_key_that_was_revoked"
KEYS = (
    KeyRecord(key_id="k1", prefix=SECRET[:12], sha256=hashlib.sha256(SECRET.encode()).hexdigest(), projects=("p",), created_at=1),
    KeyRecord(
        key_id="k2", prefix="cz_live_two_", sha256=hashlib.sha256(OTHER_SECRET.encode()).hexdigest(), projects=("p", "q"), created_at=1
    ),
    KeyRecord(
        key_id="k3",
        prefix="cz_live_rev_",
        sha256=hashlib.sha256(REVOKED_SECRET.encode()).hexdigest(),
        projects=("p",),
        created_at=1,
        revoked_at=2,
    ),
)
BUNDLE = BundleRecord(digest="d" * 64, project_id="p", czpolicy=b"the signed bytes")
PROJECTS = (
    ProjectRecord(project_id="p", name="P", mode="log-only", bundle_digest=BUNDLE.digest),
    ProjectRecord(project_id="q", name="Q", mode="enforce"),
)
NDJSON = "application/x-ndjson"
AUTHORIZED = {"Authorization": f"Bearer {SECRET}", "Content-Type": NDJSON}

_decode_record = msgspec.json.Decoder(Record).decode
_decode_agent_record = msgspec.json.Decoder(AGENT_RECORDS).decode


def tell(log: SqliteLog, *records: ControlRecord) -> None:
    """Append control records, as the control plane does."""
    log.append(CONTROL.name, [(control_key(record), encode_control(record), {}) for record in records])


def prepared(home: Path) -> Path:
    """Make a data folder whose control topic tells of keys, projects and a bundle."""
    log = SqliteLog(home / "log.db")
    tell(log, *KEYS, BUNDLE, *PROJECTS)
    log.close()
    return home


def lines(count: int, first: int = 0) -> bytes:
    """Return NDJSON of so many decisions, told apart by their ids."""
    ids = (f"01990000-0000-7000-8000-{number:012x}" for number in range(first, first + count))
    return b"".join(encode_record(a_decision(decision_id=decision_id)) + b"\n" for decision_id in ids)


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers, and the process it is."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]

    def post(self, body: bytes | Iterator[bytes], headers: Mapping[str, str] = AUTHORIZED, **more: str) -> httpx.Response:
        """Deliver a body; `more` are headers with `_` for `-`."""
        with self.client() as client:
            return client.post(
                "/v1/decisions", content=body, headers={**headers, **{name.replace("_", "-"): value for name, value in more.items()}}
            )

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Get a page with the key."""
        with self.client() as client:
            return client.get(
                path,
                headers={
                    "Authorization": AUTHORIZED["Authorization"],
                    **{name.replace("_", "-"): value for name, value in headers.items()},
                },
            )

    def client(self) -> httpx.Client:
        """Return a client of one connection."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def rss_bytes(self) -> int:
        """The memory the process holds now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ended(self) -> int:
        """Ask it to end, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def running_gateway(home: Path, *prefix: str, module: str = "ingest", **settings: str) -> Iterator[RunningGateway]:
    """Run a gateway over a prepared folder, on a free port, until the block ends. `prefix` is a command to run it under.

    The `module` is `cz.serve` for a gateway with the control plane's interface beside it.
    """
    said = home / "gateway.log"
    with said.open("ab") as stderr:
        at = stderr.tell()
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, "--port", "0"], env={**without_ours(), "CZ_HOME": str(home), **settings}, stderr=stderr
        )
    try:
        gateway = RunningGateway(home, f"http://127.0.0.1:{_port(process, said, at)}", process)
        yield gateway
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)


def _port(process: subprocess.Popen[bytes], said: Path, at: int) -> int:
    def told() -> int | None:
        lines = said.read_bytes()[at:].splitlines()
        return next((int(json.loads(line)["port"]) for line in lines if b'"The gateway listens."' in line and line.endswith(b"}")), None)

    return until_up(process, told, lambda: said.read_bytes()[at:].decode())


def wait_until_ready(gateway: RunningGateway) -> None:
    """Return once deliveries would be taken."""
    until(lambda: gateway.get("/readyz").status_code == 200, lambda: f"readiness ({gateway.get('/readyz').text})")


def until_somebody_waits(gateway: RunningGateway) -> None:
    """Return once a request is under way beside the one that asks."""
    until(lambda: "cz_gateway_in_flight_requests 2.0" in gateway.get("/metrics").text, "a request under way")


def batches(home: Path) -> list[Batch]:
    """Return all batches of the log, those of a producer in their order."""
    log = SqliteLog(home / "log.db")
    held: list[Batch] = []
    for partition in range(DECISIONS.partitions):
        offset = log.bounds(DECISIONS.name, partition).start
        while messages := log.read(DECISIONS.name, partition, offset, bytes_max=1 << 24):
            held += map(decode_batch, messages)
            offset = messages[-1].offset + 1
    log.close()
    return held


def records(batch: Batch) -> Sequence[Record]:
    """Return a batch's lines as a worker reads them; fail where they are not as many as it says."""
    held = expand_lines(batch.value).splitlines()
    assert len(held) == batch.count
    return [_decode_record(line) for line in held]
