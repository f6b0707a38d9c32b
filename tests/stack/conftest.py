from collections.abc import Iterator

import pytest

from cz.up import Stack
from tests.stacks import stack_over


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_over(tmp_path_factory.mktemp("home")) as running:
        yield running
