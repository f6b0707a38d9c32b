"""What the command line says where only a part of the product is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def cz(*tokens: str, without: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run `cz` where some modules are not to be had."""
    code = f"import sys; sys.modules.update(dict.fromkeys({without!r})); sys.argv[1:] = {tokens!r}; from cz.__main__ import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)


@pytest.mark.parametrize("without", [("cyclopts", "rich"), ("cyclopts",), ("sqlalchemy",)])
def test_a_bare_install_names_the_extra_in_one_line(without: tuple[str, ...]) -> None:
    ended = cz("keys", "list", without=without)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"`{without[0]}`" in ended.stderr
    assert "pip install 'controlzero-audit[dashboards]'" in ended.stderr


@pytest.mark.parametrize(("without", "left", "left_out"), [("confluent_kafka", "bundle", "topics"), ("sqlalchemy", "mcp-proxy", "keys")])
def test_help_lists_what_is_installed_and_names_the_rest(without: str, left: str, left_out: str) -> None:
    ended = cz("--help", without=(without,))
    assert ended.returncode == 0
    assert f"│ {left} " in ended.stdout
    assert left_out in ended.stdout.partition("Not installed:")[2].partition("Commands")[0]
    assert f"│ {left_out} " not in ended.stdout


def test_a_command_for_kafka_names_its_extra() -> None:
    ended = cz("topics", "list", without=("confluent_kafka",))
    assert ended.returncode == 1
    assert "pip install 'controlzero-audit[kafka]'" in ended.stderr


def test_without_dashboards_the_product_says_how_to_go_on(tmp_path: Path) -> None:
    ended = cz("up", "--home", str(tmp_path / "home"), without=("streamlit",))
    assert ended.returncode == 1
    assert "--no-dashboards" in ended.stderr
    assert not (tmp_path / "home").exists()


def test_without_its_driver_a_database_names_the_extra_and_not_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CZ_DATABASE_URL", "postgresql://cz:hush-hush@127.0.0.1/cz")
    (tmp_path / "keys").mkdir()
    ended = cz("project", "list", "--home", str(tmp_path), without=("psycopg",))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "pip install 'controlzero-audit[postgres]'" in ended.stderr
    assert "hush-hush" not in ended.stderr


def test_what_a_failure_names_is_shown_as_it_is_and_obeyed_by_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text('name: ":x: \\e[31m[red]"\nrules: []\n')
    ended = cz("policy", "fmt", str(tmp_path / "p.yaml"), without=())
    assert ended.returncode == 1
    assert "policy `:x: \\x1b[31m[red]`: holds control or invisible characters" in ended.stderr


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("rules: [{effect: allow, action: x}]\n")
    (tmp_path / "p_test.yaml").write_text("policy: p.yaml\ncases: [{call: {action: x}, wanted: allow}]\n")
    results = tmp_path / "none" / "results.xml"
    ended = cz("policy", "test", str(tmp_path / "p_test.yaml"), "--junit", str(results), without=())
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"cz: {results}: No such file or directory" in ended.stderr
