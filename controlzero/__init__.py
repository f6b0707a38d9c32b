"""Control Zero: judge each call of an AI agent by policy, and record what was decided.

The names are loaded when they are first used: every stage imports the vocabulary (`controlzero.records`,
`controlzero.errors`) from here, and only an agent needs the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from controlzero.version import __version__

if TYPE_CHECKING:
    from controlzero.ambient import context
    from controlzero.async_client import AsyncClient, AsyncControlZero, async_init
    from controlzero.client import Client
    from controlzero.decisions import PolicyDecision
    from controlzero.deferred import ControlZero, init
    from controlzero.errors import (
        BundleRollbackError,
        BundleTamperError,
        BundleVerificationError,
        ControlZeroError,
        PolicyDeniedError,
        PolicyError,
        PolicyViolationError,
        Rejected,
        Tampered,
        Unavailable,
    )

__all__ = [
    "AsyncClient",
    "AsyncControlZero",
    "BundleRollbackError",
    "BundleTamperError",
    "BundleVerificationError",
    "Client",
    "ControlZero",
    "ControlZeroError",
    "PolicyDecision",
    "PolicyDeniedError",
    "PolicyError",
    "PolicyViolationError",
    "Rejected",
    "Tampered",
    "Unavailable",
    "__version__",
    "async_init",
    "context",
    "init",
]

_HOMES = {
    "AsyncClient": "async_client",
    "AsyncControlZero": "async_client",
    "Client": "client",
    "ControlZero": "deferred",
    "PolicyDecision": "decisions",
    "async_init": "async_client",
    "context": "ambient",
    "init": "deferred",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `controlzero` has no attribute `{name}`; it has {', '.join(__all__)}")
    found: object = getattr(import_module(f"controlzero.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
