"""What a process that tests start finds in its environment."""

import os

OURS = ("CZ_", "CONTROLZERO_")


def without_ours(*, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return this process's variables without the product's own, `but` these."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS) or name in but}
