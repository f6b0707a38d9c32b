"""The embedded product: every process of it over one data folder, supervised until Ctrl-C."""

import contextlib
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from rich.console import Console
from rich.panel import Panel

from controlplane.service import ControlPlane
from controlzero.errors import Unavailable
from cz.children import TEND_EVERY_S, Child, Part, python_module, tended, wait_until
from cz.home import Home, RunningNote, owned
from cz.moving import Moved, move_from_embedded
from cz.plane import plane_over
from cz.settings import DEFAULT_HOME
from topics.ending import asked_by_signals
from topics.opening import is_on_kafka, make_topics, open_log

RENEW_EVERY_S = 3_600.0  # bundles are good for days where they expire at all
READY_WITHIN_S = 60.0  # a cold disk and two slow cores; a child that cannot start is named long before


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running product: where it answers, and the key of the first run where it made one."""

    home: Home
    api_url: str
    dashboards_url: str | None
    first_key: str | None
    children: list[Child] = field(default_factory=list)


@contextlib.contextmanager
def running_stack(
    home: Home,
    *,
    host: str,
    port: int,
    dashboards_port: int | None,
    environment: Mapping[str, str],
    prepare: Callable[[ControlPlane], str | None],
    say: Callable[[str], None],
) -> Iterator[Stack]:
    """Run the product over `home` for as long as the block lasts; stop it in the order the data flows.

    A port of 0 takes a free one; without `dashboards_port` there are no dashboards. `prepare` may make what
    a first run needs, and returns the key to show. Raises `Unavailable`
    where the folder is owned by another process, a port is taken or a part does not start.
    """
    _ = home.ledger  # said wrongly, it is refused before anything is made
    with owned(home):
        port = _free_port(host, port, "--port")  # before anything is made: a key that is made is shown
        if dashboards_port is not None:
            dashboards_port = _free_port(host, dashboards_port, "--dashboards-port")
        on_kafka = is_on_kafka()
        if on_kafka:
            make_topics()
            with contextlib.closing(open_log(home.log)) as log:
                _say_moved(move_from_embedded(home, log), say)
        first_key = _prepared(home, prepare)
        stack = Stack(
            home=home,
            api_url=f"http://{host}:{port}",
            dashboards_url=None if dashboards_port is None else f"http://{host}:{dashboards_port}",
            first_key=first_key,
        )
        shared = {**environment, "CZ_HOME": str(home.path), "PYTHONUNBUFFERED": "1"}
        stack.children.extend(
            Child(part, run=home.run, environment=shared) for part in _parts(host, port, dashboards_port, on_kafka=on_kafka)
        )
        try:
            for child in stack.children:
                child.start()
            _wait_until_ready(stack)
            _write_note(stack)
            with tended(stack.children, say):
                yield stack
        finally:
            home.note.unlink(missing_ok=True)
            for child in stack.children:
                if not child.stop():
                    say(
                        f"{child.part.name} did not drain in {child.part.drain_s:g} s and was killed; nothing accepted is lost, it resumes at the next start"
                    )


def serve(home: Home, *, host: str, port: int, dashboards_port: int | None, environment: Mapping[str, str], console: Console) -> None:
    """Run the product until Ctrl-C or SIGTERM, saying where it is and what happens to it."""
    ending = asked_by_signals()

    def say(sentence: str) -> None:
        console.print(f"[yellow]•[/] {sentence}", highlight=False)

    began = time.monotonic()
    with running_stack(
        home, host=host, port=port, dashboards_port=dashboards_port, environment=environment, prepare=default_project, say=say
    ) as stack:
        console.print(welcome(stack, time.monotonic() - began))
        if stack.first_key:
            console.print(connecting(stack), highlight=False, soft_wrap=True)
        renewed_at = began
        while not ending.wait(TEND_EVERY_S):
            if time.monotonic() - renewed_at > RENEW_EVERY_S:
                renewed_at = time.monotonic()
                renew(home, say)
        console.print("Stopping: the gateway answers its last requests, workers land what was accepted …")
    console.print("Stopped. Everything accepted is landed or waits in the log for the next start.")


def _say_moved(moved: Moved, say: Callable[[str], None]) -> None:
    if moved.control_records or moved.records_landed:
        say(
            f"The log moved to Kafka: {moved.records_landed:,} records that waited were landed, {moved.control_records:,} settings carried over."
        )


def welcome(stack: Stack, took_s: float, *, project: str = "default") -> Panel:
    """Return what a person reads when the product is up."""
    lines = [f"API         {stack.api_url}   (docs at {stack.api_url}/docs)"]
    if stack.dashboards_url:
        lines.insert(0, f"Dashboards  [bold]{stack.dashboards_url}/?project={project}[/]")
    lines.append(f"Data        {stack.home.path}")
    if not stack.first_key:
        here = os.path.relpath(stack.home.path)
        lines += [
            "",
            "An API key for an agent of yours:",
            f"cz keys create --project {project}{'' if here == DEFAULT_HOME else f' --home {here}'}",
        ]
    return Panel(
        "\n".join(lines), title=f"Control Zero Audit is up ({took_s:.1f} s)", subtitle="Ctrl-C stops it", expand=False, highlight=False
    )


def connecting(stack: Stack) -> str:
    """Return what connects an agent, in lines that can be copied."""
    return "\n".join(
        [
            "Project [bold]default[/] was made: log-only, with a starter policy. Its API key is shown this once. Connect an agent:",
            "",
            f"export CONTROLZERO_API_KEY={stack.first_key} CONTROLZERO_BASE_URL={stack.api_url}",
            "python -c \"import controlzero; print(controlzero.Client().guard('llm', method='generate', args={'model': 'gpt-5.4'}))\"",
            "",
        ]
    )


def default_project(control_plane: ControlPlane) -> str | None:
    """Make the project `default` on a first run; return its key, which is shown this once."""
    first_run = control_plane.ensure_default_project()
    return None if first_run is None else first_run.key


def renew(home: Home, say: Callable[[str], None]) -> None:
    """Sign anew the bundles that would expire soon; where the database is away, say so and leave it to the next time."""
    try:
        _prepared(home, _renewed_bundles)
    except Unavailable as away:
        say(f"Bundles were not renewed, and will be in {RENEW_EVERY_S / 60:.0f} minutes: {away}")


def no_preparation(_control_plane: ControlPlane) -> None:
    """Leave the control plane as it is."""


def _prepared(home: Home, prepare: Callable[[ControlPlane], str | None]) -> str | None:
    with plane_over(home) as control_plane:
        first_key = prepare(control_plane)
        control_plane.publish_pending()
        return first_key


def _renewed_bundles(control_plane: ControlPlane) -> None:
    control_plane.renew_bundles()


def _parts(host: str, port: int, dashboards_port: int | None, *, on_kafka: bool) -> Iterator[Part]:
    """Yield the parts in the order the data flows: the order they are stopped in."""
    yield Part(name="gateway", command=python_module("cz.serve", "--host", host, "--port", str(port)), drain_s=25.0)
    worker = python_module("faust", "-A", "processors.faust_app", "worker", "-l", "warn") if on_kafka else python_module("processors")
    yield Part(name="worker", command=worker, drain_s=30.0)
    yield Part(name="watch", command=python_module("processors.watch"))
    yield Part(name="keeper", command=python_module("warehouse"), drain_s=30.0)
    if dashboards_port is not None:
        yield Part(name="dashboards", command=python_module("dashboards", "--host", host, "--port", str(dashboards_port)), drain_s=5.0)


def _wait_until_ready(stack: Stack) -> None:
    probes = [f"{stack.api_url}/readyz"]
    if stack.dashboards_url:
        probes.append(f"{stack.dashboards_url}/_stcore/health")
    failed = wait_until(lambda: all(map(_answers, probes)), children=stack.children, within_s=READY_WITHIN_S)
    if failed is not None:
        raise Unavailable(f"{failed.part.name} does not start. The end of its log:\n{failed.log_tail()}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port(host: str, port: int, option: str) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as refused:
            raise Unavailable(
                f"port {port} on {host} cannot be had ({refused.strerror}); stop what uses it, or choose another with {option}"
            ) from None
        return int(probe.getsockname()[1])


def _write_note(stack: Stack) -> None:
    note = RunningNote(pid=os.getpid(), api_url=stack.api_url, dashboards_url=stack.dashboards_url, started_at=time.time_ns() // 1000)
    stack.home.note.write_bytes(msgspec.json.encode(note))
