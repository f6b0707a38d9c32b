"""All recorded traffic under all policies is judged as the reference judges it."""

import pytest

from tests.property.recorded_traffic import differing


@pytest.mark.needs("traces")
def test_every_recorded_action_is_judged_as_by_the_reference(shared):
    assert differing(shared / "traces", None) == []
