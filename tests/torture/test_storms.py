from pathlib import Path

import pytest

from tests.nemesis import rage


@pytest.mark.parametrize("seed", range(1, 5))
def test_what_guard_returned_is_landed_once_in_a_long_storm(tmp_path: Path, seed: int) -> None:
    after = rage(tmp_path, kills=100, seed=seed)
    assert after.returned - after.landed.keys() == set()
    assert [decision for decision, count in after.landed.items() if count > 1] == []
    assert after.examination is not None
    assert all(account.balanced and not account.gaps for account in after.examination.projects.values())
