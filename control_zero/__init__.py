"""The names of the hosted SDK, over `controlzero`: clients that judge an agent's tool calls and carry them out.

The names are loaded when they are first used, as those of `controlzero` are.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from controlzero.version import __version__

if TYPE_CHECKING:
    from control_zero.async_client import AsyncControlZeroClient
    from control_zero.client import ControlZeroClient
    from control_zero.errors import ToolCallRejected, ToolError, ToolNotFound, ToolUnavailable
    from controlzero.decisions import PolicyDecision
    from controlzero.errors import BundleTamperError, BundleVerificationError, PolicyDeniedError

__all__ = [
    "AsyncControlZeroClient",
    "BundleTamperError",
    "BundleVerificationError",
    "ControlZeroClient",
    "PolicyDecision",
    "PolicyDeniedError",
    "ToolCallRejected",
    "ToolError",
    "ToolNotFound",
    "ToolUnavailable",
    "__version__",
]

_HOMES = {
    "AsyncControlZeroClient": "control_zero.async_client",
    "BundleTamperError": "controlzero.errors",
    "BundleVerificationError": "controlzero.errors",
    "ControlZeroClient": "control_zero.client",
    "PolicyDecision": "controlzero.decisions",
    "PolicyDeniedError": "controlzero.errors",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `control_zero` has no attribute `{name}`; it has {', '.join(__all__)}")
    found: object = getattr(import_module(_HOMES.get(name, "control_zero.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
