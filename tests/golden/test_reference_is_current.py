"""The reference says what the code says: each generated block and file is as the generators make it now."""

from pathlib import Path

import pytest

from docs.generate.blocks import filled
from docs.generate.reference import PAGES, whole_files

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
HOW_TO_MEND = "run `make golden`, and review the diff"


@pytest.fixture
def is_update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("update_golden"))


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_blocks_of_a_page_are_current(page: str, is_update: bool) -> None:
    path = REFERENCE / page
    now = filled(path.read_text(encoding="utf-8"), PAGES[page]())
    if is_update:
        path.write_text(now, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == now, HOW_TO_MEND


def test_the_generated_files_are_current(is_update: bool) -> None:
    files = whole_files()
    folders = {(REFERENCE / name).parent for name in files} - {REFERENCE}  # what is generated as a whole; there are pages beside it
    if is_update:
        for stale in {path for folder in folders for path in folder.iterdir()} - {REFERENCE / name for name in files}:
            stale.unlink()
        for name, text in files.items():
            (REFERENCE / name).write_text(text, encoding="utf-8")
    there = {path for folder in folders for path in folder.iterdir()} | {REFERENCE / name for name in files}
    assert {str(path.relative_to(REFERENCE)): path.read_text(encoding="utf-8") for path in there} == files, HOW_TO_MEND
