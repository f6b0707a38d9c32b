"""The pages about Node run as they stand, and name what there is."""

import json
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.service import ControlPlane
from controlplane.starter import STARTER_POLICY
from cz.up import Stack
from tests.node_sdk import SDK
from topics.sqlite import SqliteLog

DOCS = SDK.parent / "docs"
REFERENCE = (DOCS / "reference" / "node-sdk.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "govern-a-node-agent.md").read_text(encoding="utf-8")
TSC = ("node", str(SDK / "node_modules" / "typescript" / "bin" / "tsc"))
OPTIONS = ("--target", "es2022", "--module", "nodenext", "--strict", "--skipLibCheck", "--types", "node")


def blocks(page: str, language: str) -> list[str]:
    """Return the code of a page in a language, in order, as if it stood at the margin."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page, re.M | re.S)
    return [re.sub(rf"^{indent}", "", code, flags=re.M) for indent, code in found]


@pytest.fixture
def folder(tmp_path: Path, sdk: Path) -> Path:
    """A folder of a program that has the packages installed."""
    modules = tmp_path / "node_modules"
    (modules / "@controlzero").mkdir(parents=True)
    (modules / "@controlzero" / "sdk").symlink_to(sdk.parent)
    for name in ("openai", "@types", "undici-types"):
        (modules / name).symlink_to(SDK / "node_modules" / name)
    return tmp_path


def compile_in(folder: Path, code: str) -> None:
    (folder / "program.mts").write_text(code, encoding="utf-8")
    done = subprocess.run([*TSC, *OPTIONS, "program.mts"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_the_examples_of_the_reference_run_as_they_stand(folder: Path) -> None:
    (policy,) = blocks(REFERENCE, "json")
    (folder / "policy.json").write_text(policy, encoding="utf-8")
    compile_in(folder, "".join(blocks(REFERENCE, "ts")))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(["node", "program.mjs"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((folder / ".controlzero" / "spool").rglob("*.records"))


def test_the_examples_of_the_how_to_are_a_program(folder: Path) -> None:
    code = blocks(HOW_TO, "ts")
    assert len(code) == 3
    compile_in(folder, "".join(code))


def test_the_first_program_of_the_how_to_prints_what_it_says(folder: Path, stack: Stack) -> None:
    ((program,), (printed,)) = blocks(HOW_TO, "js"), blocks(HOW_TO, "text")
    (folder / "first.mjs").write_text(program, encoding="utf-8")
    home = stack.home.path
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        plane.create_project("first", actor="test")
        plane.apply_policy("first", STARTER_POLICY, actor="test")
        key = plane.create_key(["first"], actor="test")[0]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CONTROLZERO_API_KEY": key, "CONTROLZERO_BASE_URL": stack.api_url}
    done = subprocess.run(["node", "first.mjs"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_the_reference_names_what_is_public(sdk: Path) -> None:
    public = subprocess.run(
        ["node", "-e", f"import({json.dumps(str(sdk / 'src' / 'index.js'))}).then((m) => console.log(Object.keys(m).join()))"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip().split(",")  # fmt: skip
    assert len(public) > 10
    assert [name for name in public if name != "VERSION" and name not in REFERENCE] == []
    options = re.findall(r"readonly (\w+)\?:", (SDK / "src" / "settings.ts").read_text() + (SDK / "src" / "client.ts").read_text())
    assert len(options) > 12
    assert [name for name in options if f"`{name}`" not in REFERENCE and f"`{name}:" not in REFERENCE] == []


def test_the_package_holds_the_built_modules_and_nothing_else(sdk: Path) -> None:
    done = subprocess.run(["npm", "pack", "--dry-run", "--json"], cwd=sdk.parent, capture_output=True, text=True, timeout=60, check=True)
    listed = json.loads(done.stdout)
    (package,) = listed if isinstance(listed, list) else listed.values()
    files = {file["path"] for file in package["files"]}
    assert "dist/src/index.js" in files
    assert {path for path in files if not path.startswith("dist/src/")} == {"LICENSE", "README.md", "package.json"}
