"""Every question is one file that begins with its question, and can be asked of an empty ledger."""

import re
from pathlib import Path

import pytest

import warehouse

FOLDER = Path(warehouse.__file__).parent
FILES = sorted(FOLDER.glob("*/*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_begins_with_its_one_question(path):
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"-- [A-Z].*\?.*", first), "the first line is the question, a comment"
    assert any(line and not line.startswith("--") for line in rest)
