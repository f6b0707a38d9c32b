"""What integrations are tested with."""

from tests.governed import cz, gateway

__all__ = ["cz", "gateway"]
