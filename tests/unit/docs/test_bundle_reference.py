"""docs/reference/bundle.md says what the code does: its fields, its limits, its example."""

import re
from pathlib import Path

import msgspec

from controlzero import bundle

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "bundle.md").read_text(encoding="utf-8")


def test_the_fields_are_those_of_the_type() -> None:
    section = PAGE.split("## What it says")[1].split("The **digest**")[0]
    named = {name for line in section.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {field.encode_name for field in msgspec.structs.fields(bundle.Bundle)} | {"format"}


def test_the_limits_are_those_of_the_code() -> None:
    mib = 1024 * 1024
    assert (
        f"a file {bundle.CZPOLICY_BYTES_MAX // mib} MiB, expanded {bundle.PAYLOAD_BYTES_MAX // mib} MiB "
        f"(the frame must state its size), {bundle.SIGNATURES_MAX} signatures" in PAGE
    )


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(example, {})
