"""The document's Node snippet runs as printed: compiled strictly, against a product and OpenAI's own client."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from cz.up import Stack
from examples.model_stub import running_model
from tests.node_sdk import SDK
from tests.printed import snippets, the_policy
from topics.sqlite import SqliteLog

TSC = ("node", str(SDK / "node_modules" / "typescript" / "bin" / "tsc"))


@pytest.fixture
def program(tmp_path: Path, sdk: Path) -> Path:
    """Compile the snippet, and a last line that asks, as a program of its own with both packages installed."""
    modules = tmp_path / "node_modules"
    (modules / "@controlzero").mkdir(parents=True)
    (modules / "@controlzero" / "sdk").symlink_to(sdk.parent)
    for name in ("openai", "@types", "undici-types"):
        (modules / name).symlink_to(SDK / "node_modules" / name)
    (snippet,) = snippets("002", "javascript")
    (tmp_path / "program.mts").write_text(f"{snippet}\nconsole.log(await ask('Where is my parcel?', process.argv[2]));\n")
    options = ("--target", "es2022", "--module", "nodenext", "--strict", "--skipLibCheck", "--types", "node", "program.mts")
    compiled = subprocess.run([*TSC, *options], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert compiled.returncode == 0, compiled.stdout
    return tmp_path / "program.mjs"


def test_the_node_snippet_runs_as_printed(program: Path, stack: Stack) -> None:
    home = stack.home.path
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        plane.create_project("printed", actor="test")
        plane.apply_policy("printed", the_policy("002", "openai-model-governance"), actor="test")
        plane.set_mode("printed", "enforce", actor="test", why="the test says so")
        key = plane.create_key(["printed"], actor="test")[0]
    with running_model() as model_url:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(program.parent),
            "CONTROLZERO_API_KEY": key,
            "CONTROLZERO_BASE_URL": stack.api_url,
            "OPENAI_API_KEY": "sk-of-nobody",
            "OPENAI_BASE_URL": model_url,
        }
        ran = [
            subprocess.run(["node", str(program), *model], env=environment, capture_output=True, text=True, timeout=60, check=False)
            for model in ((), ("gpt-4-turbo",))
        ]
    assert (ran[0].returncode, ran[0].stdout, ran[0].stderr) == (0, "I have read: Where is my parcel?\n", "")
    assert ran[1].returncode != 0
    assert "PolicyDeniedError: llm:generate is denied: rule `openai-model-governance#3`" in ran[1].stderr
    assert ran[1].stdout == ""
