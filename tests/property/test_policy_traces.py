"""Real traffic is judged as the reference judges it: some of it here, all of it among the long tests."""

import pytest

from tests.property.recorded_traffic import differing


@pytest.mark.needs("traces")
@pytest.mark.parametrize("source", ["agentdojo-banking", "agentdojo-slack", "coding", "bfcl-mt", "tau2-airline"])
def test_recorded_actions_are_judged_as_by_the_reference(shared, source):
    assert differing(shared / "traces", [source]) == []
