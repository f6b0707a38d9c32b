"""What a verdict means under each mode."""

import pytest

from controlzero.policy import effect_of, mode_of

WANTED = {
    ("allow", "enforce"): ("allow", True), ("warn", "enforce"): ("warn", True), ("audit", "enforce"): ("audit", True),
    ("deny", "enforce"): ("deny", False), ("allow", "log-only"): ("allow", True), ("warn", "log-only"): ("allow", True),
    ("audit", "log-only"): ("allow", True), ("deny", "log-only"): ("allow", True), (None, "off"): ("allow", True),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "wanted"), WANTED.items())
def test_a_verdict_has_the_effect_of_its_mode(asked, wanted):
    assert effect_of(*asked) == wanted


@pytest.mark.parametrize(("mode", "wanted"), [("enforce", "log-only"), ("log-only", "log-only"), ("off", "off")])
def test_a_rule_that_only_logs_takes_enforcing_back_and_gives_none(mode, wanted):
    assert mode_of(mode, "log-only") == wanted
    assert mode_of(mode, None) == mode
