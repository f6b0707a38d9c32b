"""What a verdict means under each mode."""

import pytest

from controlzero.policy import effect_of

WANTED = {
    ("allow", "enforce"): ("allow", True), ("warn", "enforce"): ("warn", True), ("audit", "enforce"): ("audit", True),
    ("deny", "enforce"): ("deny", False), ("allow", "log-only"): ("allow", True), ("warn", "log-only"): ("allow", True),
    ("audit", "log-only"): ("allow", True), ("deny", "log-only"): ("allow", True), (None, "off"): ("allow", True),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "wanted"), WANTED.items())
def test_a_verdict_has_the_effect_of_its_mode(asked, wanted):
    assert effect_of(*asked) == wanted
