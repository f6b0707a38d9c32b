from pathlib import Path

from tests.nemesis import rage


def test_what_guard_returned_is_landed_once_whatever_was_killed(tmp_path: Path) -> None:
    after = rage(tmp_path, kills=25, seed=7)
    assert len(after.returned) > 500
    assert after.returned - after.landed.keys() == set()
    assert [decision for decision, count in after.landed.items() if count > 1] == []
    assert after.examination is not None
    assert all(account.balanced and not account.gaps for account in after.examination.projects.values())
