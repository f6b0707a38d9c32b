"""What is shipped is all that runs and nothing else, and the SDK runs with the base requirements alone."""

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("controlzero", "control_zero", "topics", "controlplane", "ingest", "processors", "warehouse", "dashboards", "cz")
BESIDE = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}  # of a source distribution
KINDS = {".css", ".js", ".json", ".mako", ".py", ".sql", ".svg", ".toml", ".typ", ".typed", ".yaml"}
PROVIDERS = {"openai", "anthropic", "langchain", "openai-agents", "mcp", "litellm"}
EXTRAS = {*PROVIDERS, "pipeline", "dashboards", "kafka", "postgres", "s3", "all"}
NEEDED = (
    "controlplane/migrations/versions/0001_first_tables.py",
    "controlplane/starter.yaml",
    "control_zero/py.typed",
    "controlzero/integrations/prices.toml",
    "controlzero/py.typed",
    "cz/demo/policies/acme.json",
    "dashboards/compliance_report.typ",
    "dashboards/logo.svg",
    "dashboards/styles.css",
    "dashboards/menu.js",
    "dashboards/typing.js",
    "dashboards/theme.py",
    "warehouse/macros/10-ids.sql",
    "warehouse/queries/decision.sql",
    "warehouse/views/30-decisions.sql",
)
HEAVY = {"deltalake", "duckdb", "fastapi", "faust-streaming", "pandas", "pyarrow", "pydantic", "sqlalchemy", "streamlit"}
FIRST_DECISION = """
import sys
import controlzero
with controlzero.Client(policy_file="policy.yaml", agent_id="bare", spool="spool") as cz:
    print(cz.guard("llm", method="generate", args={"model": "gpt-5.4"}).allowed, cz.guard("shell", method="run").allowed)
print(controlzero.__file__)
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a wheel and a source distribution, built by what is installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(shipped: Path) -> Path:
    (found,) = shipped.glob("*.whl")
    return found


def of_packages() -> set[str]:
    """The packages' files as they lie here; what Python caches is none."""
    found = (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*"))
    return {str(path.relative_to(REPOSITORY)) for path in found if path.is_file() and "__pycache__" not in path.parts}


def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(wheel: Path, header: str) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode()).get_all(header) or []


def names(requirements: Iterable[str]) -> set[str]:
    return {found[0].lower() for requirement in requirements if (found := re.match(r"[\w.-]+", requirement))}


def test_the_wheel_holds_the_files_of_the_packages_and_no_others(wheel: Path) -> None:
    assert in_wheel(wheel) == of_packages()
    assert {Path(name).suffix for name in in_wheel(wheel)} <= KINDS


def test_the_source_distribution_holds_the_same_and_what_describes_it(shipped: Path) -> None:
    (sdist,) = shipped.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held == of_packages() | BESIDE


@pytest.mark.parametrize("name", NEEDED)
def test_what_the_code_reads_from_its_own_folder_is_shipped(wheel: Path, name: str) -> None:
    assert name in in_wheel(wheel)


def test_the_base_requirements_are_light(wheel: Path) -> None:
    base = names(requirement for requirement in metadata(wheel, "Requires-Dist") if "extra ==" not in requirement)
    assert {"msgspec", "google-re2", "cryptography"} <= base
    assert base & HEAVY == set()


def test_extras_are_those_the_documentation_names(wheel: Path) -> None:
    assert set(metadata(wheel, "Provides-Extra")) == EXTRAS


@pytest.mark.needs("registry")
def test_a_bare_install_judges_and_records(wheel: Path, tmp_path: Path) -> None:
    uv, python = str(Path(sys.executable).with_name("uv")), str(tmp_path / "venv" / "bin" / "python")

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"))
    run(uv, "pip", "install", "--quiet", "--python", python, str(wheel))
    installed = {line.split("==")[0].lower() for line in run(uv, "pip", "freeze", "--python", python).splitlines()}
    assert "msgspec" in installed
    assert installed & HEAVY == set()
    (tmp_path / "policy.yaml").write_text("name: bare\nrules: [{effect: allow, action: 'llm:*'}]\n")
    answer, where = run(python, "-c", FIRST_DECISION).splitlines()
    assert answer == "True False"
    assert Path(where).is_relative_to(tmp_path)
    assert list((tmp_path / "spool").rglob("*.records"))
