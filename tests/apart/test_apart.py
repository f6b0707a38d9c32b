"""Integrations with libraries that this environment cannot have beside the rest, and with the oldest versions they are for.

Each runs in an environment made for it, with the SDK's own dependencies and nothing else.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))
SDK = "tests/unit/sdk"
ENVIRONMENTS = {
    "openai-agents": (["openai-agents"], [], ["tests/apart/openai_agents.py", "tests/apart/how_to_openai_agents.py"]),
    "litellm": (["litellm", "mcp"], [], ["tests/apart/litellm.py", "tests/apart/how_to_litellm.py"]),
    "the oldest openai": (["openai"], ["openai==2.30.0"], [f"{SDK}/test_wrap_openai.py", f"{SDK}/test_wrap_openai_routes.py"]),
    "the last openai 2": (["openai"], ["openai<3"], [f"{SDK}/test_wrap_openai.py", f"{SDK}/test_wrap_openai_routes.py"]),
    "the oldest anthropic": (["anthropic"], ["anthropic==1.0.0"], [f"{SDK}/test_wrap_anthropic.py"]),
    "the oldest langchain-core": (["langchain", "openai"], ["langchain-core==1.0.0"], [f"{SDK}/test_langchain_handler.py"]),
}


@pytest.mark.needs("registry")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_integration_holds_in_its_own_environment(name: str, tmp_path: Path) -> None:
    extras, pins, checks = ENVIRONMENTS[name]
    python = str(tmp_path / "venv" / "bin" / "python")
    wanted = [option for extra in extras for option in ("--extra", extra)]
    (tmp_path / "pins.txt").write_text("\n".join(pins))
    for command in (
        [UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        [UV, "pip", "install", "--quiet", "--python", python, "-r", "pyproject.toml", *wanted, "--constraint", str(tmp_path / "pins.txt")],
        [UV, "pip", "install", "--quiet", "--python", python, "pytest", "hypothesis", "websockets"],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert made.returncode == 0, made.stderr
    # The library's own warnings are not ours to mend, least of all an old one's.
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=ignore", *checks]
    environment = {key: value for key, value in os.environ.items() if key != "CZ_REQUIRE"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert ended.returncode == 0, ended.stdout[-5_000:]
    assert " skipped" not in ended.stdout
