"""The Node SDK as processes: built once, then asked or driven by tests."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.environments import without_ours

SDK = Path(__file__).parents[1] / "sdk-node"
DIST = SDK / "dist"
BUILT = DIST / ".built"


def is_present() -> bool:
    """Whether Node.js 20 or newer and npm are there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0]) >= 20


def build() -> Path:
    """Install what the build needs, as locked, and build; return the folder of the built modules."""
    with _one_at_a_time():
        installed, lock = SDK / "node_modules" / ".package-lock.json", SDK / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
        if not _is_built():
            shutil.rmtree(DIST, ignore_errors=True)
            _npm("run", "build")
            BUILT.touch()
    return DIST


def ask(program: str, questions: Iterable[object]) -> list[Any]:
    """Run a program of the SDK's tests that answers each line of JSON with one, and return its answers."""
    asked = "".join(f"{json.dumps(question)}\n" for question in questions)
    done = subprocess.run(["node", str(DIST / "test" / program)], input=asked, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def run_own_tests() -> subprocess.CompletedProcess[str]:
    """Run what Node's own runner tests."""
    return subprocess.run(["npm", "test"], cwd=SDK, capture_output=True, text=True, timeout=300, check=False, env=without_ours())


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the SDK's folder against other processes that test."""
    folder = os.open(SDK, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_built() -> bool:
    """Whether the modules were built from the sources as they are, none of which is gone since: a folder's time says that."""
    if not BUILT.exists():
        return False
    read = [SDK / "package.json", SDK / "package-lock.json", SDK / "tsconfig.json"]
    for folder in (SDK / "src", SDK / "test"):
        read += [folder, *folder.rglob("*")]
    return max(path.stat().st_mtime for path in read) < BUILT.stat().st_mtime


def _npm(*arguments: str) -> None:
    done = subprocess.run(["npm", *arguments], cwd=SDK, capture_output=True, text=True, timeout=300, check=False, env=without_ours())
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Agent:
    """An agent in Node that does what it is told, a line at a time (see sdk-node/test/agent.ts)."""

    process: "subprocess.Popen[str]"

    def do(self, what: str, given: object = None) -> Any:
        """Have it do something; return what came of it."""
        self.start(what, given)
        return self.answer()

    def start(self, what: str, given: object = None) -> None:
        """Have it do something, and wait for nothing."""
        self._stdin.write(f"{json.dumps({'do': what, 'with': given})}\n")
        self._stdin.flush()

    def answer(self) -> Any:
        """Return its next answer; fail with what it said where it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(30)
            assert self.process.stderr is not None
            raise AssertionError(f"the agent ended with {self.process.returncode}: {self.process.stderr.read()}")
        return json.loads(line)

    def end(self) -> int:
        """Let the program come to its end by itself; return its status."""
        self._stdin.close()
        return self.process.wait(30)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(30)

    @property
    def _stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin


@contextmanager
def an_agent(environment: Mapping[str, str], **options: object) -> Iterator[Agent]:
    """Run an agent with these variables and options; kill it where it still runs at the end of the block."""
    command = ["node", str(DIST / "test" / "agent.js"), json.dumps(options)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**without_ours(), **environment}
    ) as process:
        agent = Agent(process)
        try:
            assert agent.answer() == "ready"
            yield agent
        finally:
            if process.poll() is None:
                process.kill()
