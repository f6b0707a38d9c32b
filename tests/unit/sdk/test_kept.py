"""What a client keeps on disk of bundles: several processes at once, and folders that take nothing."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlzero import Client
from controlzero.kept import KeptBundle, keep, read_bundle, read_trust
from controlzero.testing import InMemoryGateway
from controlzero.trust import Trust

ALLOW = {"name": "open", "rules": [{"effect": "allow", "action": "*"}]}


def trust(version: int) -> Trust:
    return Trust(project_id="p", version=version, digest=str(version), keys={})


@pytest.mark.parametrize("seed", range(5))
def test_whoever_keeps_last_the_newest_bundle_stays_and_both_files_agree(seed: int, tmp_path: Path) -> None:
    versions = list(range(1, 60))
    random.Random(seed).shuffle(versions)

    def kept_by_one(version: int) -> None:
        keep(tmp_path, "x", KeptBundle(str(version).encode(), ""), trust(version), at=version)

    with ThreadPoolExecutor(8) as several:
        list(several.map(kept_by_one, versions))
    assert read_trust(tmp_path, "x") == trust(59)
    kept = read_bundle(tmp_path, "x")
    assert kept is not None
    assert (kept[0].czpolicy, kept[1]) == (b"59", 59)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["bundles", "bundles/x", "trust", "trust/x"]  # and no draft


def test_a_spool_that_takes_nothing_stops_no_client_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    gateway = InMemoryGateway(policy=ALLOW, mode="enforce")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path / "spool") as cz:
        assert cz.guard("report", "write").allowed
    assert "an older one could pass for newer" in caplog.text
