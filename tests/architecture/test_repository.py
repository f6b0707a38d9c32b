import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("controlzero", "control_zero", "topics", "controlplane", "ingest", "processors", "warehouse", "dashboards", "cz")
MODULES = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py") if "migrations/versions" not in str(path)]
NAMED_FOR_NOTHING = {"util", "utils", "helper", "helpers", "common", "core", "base", "misc", "manager", "types"}


def test_every_module_is_named_for_what_it_knows() -> None:
    assert [path for path in MODULES if path.stem in NAMED_FOR_NOTHING] == []


def test_every_query_says_its_one_question() -> None:
    queries = list((REPOSITORY / "warehouse" / "queries").glob("*.sql"))
    assert queries
    silent = [query.name for query in queries if not re.match(r"-- [^?\n]+\?[^?\n]*\n", query.read_text())]
    assert silent == []


def test_no_registry_is_named_in_the_lock() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert re.findall(r"^--?[\w-]*(?:index|find-links).*", lock, re.M) == []
    assert re.findall(r"https?://\S+", lock) == []


def test_every_requirement_is_locked_with_hashes() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    names = re.findall(r"^([\w.-]+)==\S+ ", lock, re.M)
    assert len(names) > 50
    assert lock.count("--hash=sha256:") >= len(names)
