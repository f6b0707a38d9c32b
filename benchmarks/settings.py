"""Where benchmarks find what they need; the environment is read here alone."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SHARED = Path(os.environ.get("CZ_SHARED", Path(__file__).parents[2] / "shared"))
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("CZ_", "CONTROLZERO_"))}


@contextmanager
def told(changes: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Have this process' environment say something more for a while; gives the environment for others to be started with."""
    os.environ.update(changes)
    try:
        yield {**ENVIRONMENT, **changes}
    finally:
        for name in changes:
            del os.environ[name]
