"""Every `cz` command in the documentation is one that the command line takes, and every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from cz.__main__ import command_line

REPOSITORY = Path(__file__).parents[3]
PAGES = [*sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "README.md"]
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


def commands() -> list[tuple[str, str]]:
    lines = [(page.name, line.strip()) for page in PAGES for block in SHELL.findall(page.read_text()) for line in block.splitlines()]
    return [(name, line) for name, line in lines if line.startswith("cz ")]


def test_there_are_commands_to_look_at() -> None:
    assert len(commands()) >= 20


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_documented_command_is_one(page: str, command: str) -> None:
    tokens = shlex.split(command.partition(" > ")[0].partition(" | ")[0], comments=True)[1:]
    command_line().parse_args(tokens, exit_on_error=False, print_error=False)


def test_a_documented_post_of_lines_names_their_type() -> None:
    """Curl's own is a form's, which the gateway refuses."""
    posts = [line for page in PAGES for block in SHELL.findall(page.read_text()) for line in block.splitlines() if "--data-binary" in line]
    assert len(posts) >= 2
    assert [line for line in posts if "Content-Type: application/x-ndjson" not in line] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []
