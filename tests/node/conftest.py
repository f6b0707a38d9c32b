"""The Node SDK, built once for all that is tested of it here, and a product for its agents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cz.up import Stack
from tests import node_sdk
from tests.stacks import stack_over


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The built SDK."""
    return node_sdk.build()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product."""
    with stack_over(tmp_path_factory.mktemp("home")) as running:
        yield running
