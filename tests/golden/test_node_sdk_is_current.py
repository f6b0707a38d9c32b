"""What the Node SDK takes from here is as it is now: one table of detectors, one set of policy cases."""

from pathlib import Path

import pytest

from docs.generate import node_sdk

SDK = Path(__file__).parents[2] / "sdk-node"


@pytest.mark.parametrize("name", node_sdk.files())
def test_a_file_of_the_node_sdk_is_current(name: str, request: pytest.FixtureRequest) -> None:
    now = node_sdk.files()[name]
    if request.config.getoption("update_golden"):
        (SDK / name).write_text(now, encoding="utf-8")
    assert (SDK / name).read_text(encoding="utf-8") == now, "run `make golden`, and review the diff"
