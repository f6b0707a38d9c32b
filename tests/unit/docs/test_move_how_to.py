"""The examples of docs/how-to/move-from-the-vendor-sdk.md run as they stand, and what its table names is there or is not."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

import controlzero
from controlzero.settings import BASE_URL, Settings

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "move-from-the-vendor-sdk.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
POLICY = """
name: moved
rules: [{effect: deny, action: "github:delete_*", reason: A person deletes repositories.}, {effect: allow, action: "github:*"}]
"""


def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CONTROLZERO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert len(EXAMPLES) == 2
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, names)
    names["cz"].close()


def test_what_the_page_says_of_names_and_addresses_is_so() -> None:
    assert f"`{BASE_URL}`" in PAGE
    assert {"base_url", "agent_id", "policy_file"} <= set(Settings.__struct_fields__)
    assert not hasattr(controlzero.Client, "refresh")
    assert issubclass(controlzero.PolicyError, controlzero.ControlZeroError)
