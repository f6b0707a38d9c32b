"""Builds the Node SDK once for all that is tested of it here."""

from pathlib import Path

import pytest

from tests import node_sdk


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The built SDK."""
    return node_sdk.build()
