"""An agent's client under the policy of the test's own module, and the gateway in memory that it delivers to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlzero import Client
from controlzero.records import Decision, Outcome
from controlzero.testing import InMemoryGateway


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> InMemoryGateway:
    """A gateway with the module's POLICY, which it enforces."""
    return InMemoryGateway(policy=request.module.POLICY, mode="enforce")


@pytest.fixture
def cz(gateway: InMemoryGateway, tmp_path: Path) -> Iterator[Client]:
    """A client of it."""
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as client:
        yield client


def recorded(cz: Client, gateway: InMemoryGateway) -> tuple[list[Decision], list[Outcome]]:
    """Return what the client has recorded, all of it delivered."""
    assert cz.flush()
    return gateway.decisions(), gateway.outcomes()
