from typing import get_args

from controlplane.model import Cause
from dashboards.views.policies import CHANGES


def test_each_cause_of_a_version_has_its_words() -> None:
    assert CHANGES.keys() == set(get_args(Cause))
