"""The Node SDK as processes: built once, then asked or driven by tests."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SDK = Path(__file__).parents[1] / "sdk-node"
DIST = SDK / "dist"


def is_present() -> bool:
    """Whether Node.js 20 or newer and npm are there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0]) >= 20


def build() -> Path:
    """Install what the build needs, as locked, and build; return the folder of the built modules."""
    installed, lock = SDK / "node_modules" / ".package-lock.json", SDK / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    shutil.rmtree(DIST, ignore_errors=True)
    _npm("run", "build")
    return DIST


def ask(program: str, questions: Iterable[object]) -> list[Any]:
    """Run a program of the SDK's tests that answers each line of JSON with one, and return its answers."""
    asked = "".join(f"{json.dumps(question)}\n" for question in questions)
    done = subprocess.run(["node", str(DIST / "test" / program)], input=asked, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def run_own_tests() -> subprocess.CompletedProcess[str]:
    """Run what Node's own runner tests."""
    return subprocess.run(["npm", "test"], cwd=SDK, capture_output=True, text=True, timeout=300, check=False, env=_environment())


def _npm(*arguments: str) -> None:
    done = subprocess.run(["npm", *arguments], cwd=SDK, capture_output=True, text=True, timeout=300, check=False, env=_environment())
    assert done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CZ_", "CONTROLZERO_"))}
