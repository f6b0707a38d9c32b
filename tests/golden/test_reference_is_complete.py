"""Nothing public goes unmentioned: pages, commands, settings, and the words that people wrote about fields."""

import ast
import shlex
from pathlib import Path

import pytest
from cyclopts import App

from controlzero.records import Decision, Loss, Outcome, Redaction, Rejected
from cz.__main__ import command_line
from docs.generate import commands, environment
from docs.generate.struct_fields import stale_meanings
from warehouse.kinds import KINDS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
STAGES = ("controlzero", "control_zero", "topics", "controlplane", "ingest", "processors", "warehouse", "dashboards", "cz")
RECORDS = (Redaction, Decision, Outcome, Loss, Rejected)
COMMANDS = list(commands.commands())


def test_every_page_is_on_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_every_command_has_an_example_that_it_takes(words: tuple[str, ...], command: App) -> None:
    calls = commands.examples(command)
    assert calls
    for call in calls:
        tokens = shlex.split(call.partition(" | ")[0])
        assert tokens[: len(words) + 1] == ["cz", *words]
        command_line(words[0]).parse_args(tokens[1:], exit_on_error=False, print_error=False)


def test_no_written_meaning_outlives_its_field() -> None:
    assert stale_meanings({*RECORDS, *(type_ for types in KINDS.values() for type_ in types)}) == []


def test_every_stage_that_has_settings_is_listed() -> None:
    assert {stage for stage in STAGES if (REPOSITORY / stage / "settings.py").exists()} == set(environment.STAGES)


@pytest.mark.parametrize("stage", environment.STAGES)
def test_every_variable_that_settings_name_is_listed(stage: str) -> None:
    """A second reading: whatever looks like a variable of ours in the code that reads the environment."""
    code = ast.parse((REPOSITORY / stage / "settings.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = {text for text in texts if text.startswith(("CZ_", "CONTROLZERO_")) and text.isupper() and not text.endswith("_")}
    assert named <= {setting.name for setting in environment.settings_of(stage)}


def test_every_meaning_of_a_setting_is_of_one_that_exists() -> None:
    listed = {setting.name for stage in environment.STAGES for setting in environment.settings_of(stage)}
    assert environment.MEANINGS.keys() - listed == set()
