"""Folder is marker: a test in tests/unit carries `unit`, and so on; groups whose tool is missing say so."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(Path(item.path).relative_to(TESTS).parts[0])
