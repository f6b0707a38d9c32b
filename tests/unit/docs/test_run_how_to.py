"""docs/how-to/run-the-product.md names every extra, every kind that a project may keep for so long, and the numbers of the code."""

import re
import tomllib
from pathlib import Path
from typing import get_args

from controlplane.model import RETENTION_DAYS_MAX, Retained
from cz.up import _parts
from warehouse.keeping import EXPIRE_EVERY_S
from warehouse.removal import GRACE_S
from warehouse.retention import QUARANTINE_DAYS

REPOSITORY = Path(__file__).parents[3]
TEXT = (REPOSITORY / "docs" / "how-to" / "run-the-product.md").read_text(encoding="utf-8")
PAGE = " ".join(TEXT.split())
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_extra_is_told_and_no_other() -> None:
    table = TEXT.split("| extra | for |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines() if row for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert told == set(PROJECT["optional-dependencies"])


def test_every_version_of_python_is_told() -> None:
    versions = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+", name)]
    assert f"Python {', '.join(versions[:-1])} and {versions[-1]} are supported" in PAGE


def test_how_long_records_are_kept_is_told_as_it_is() -> None:
    kinds = TEXT.split("The kinds are ")[1].split("days each")[0]
    assert set(re.findall(r"`(\w+)`", kinds)) == set(get_args(Retained))
    assert f"1 to {RETENTION_DAYS_MAX:,} days each" in PAGE
    assert f"quarantine is kept for {QUARANTINE_DAYS} days" in PAGE
    assert (EXPIRE_EVERY_S, "once an hour" in PAGE) == (3_600, True)
    assert (GRACE_S, "a quarter of an hour later" in PAGE) == (900, True)


def test_how_long_each_process_may_take_to_end_is_told_as_it_is() -> None:
    took = {part.name: f"{part.drain_s:g} s" for part in _parts("127.0.0.1", 8700, 8501, on_kafka=False)}
    told = "({dashboards} the dashboards, {watch} the watch, {gateway} the gateway, {worker} worker and keeper)".format(**took)
    assert told in PAGE
    assert took["worker"] == took["keeper"]
