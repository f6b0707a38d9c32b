"""Where benchmarks find what they need; the environment is read here alone."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("CZ_SHARED", Path(__file__).parents[2] / "shared"))
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("CZ_", "CONTROLZERO_"))}
