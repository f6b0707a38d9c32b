"""What tools, secrets, environments and members may be called."""

import re

from controlplane.model import NAME_CHARS_MAX
from controlzero.errors import Rejected

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ENVIRONMENT = re.compile(r"[a-z0-9_-]{1,64}")


def checked_name(of: str, name: str) -> str:
    """Return the name of a tool or a secret, as `controlzero.session` takes it. Raises `Rejected`."""
    if not _NAME.fullmatch(name):
        raise Rejected(f"{of} name {name!r}: expected 1 to 100 of A-Z, a-z, 0-9, `_`, `.` and `-`, such as `OPENAI_API_KEY`")
    return name


def checked_environment(name: str) -> str:
    """Return the name of an environment. Raises `Rejected`."""
    if not _ENVIRONMENT.fullmatch(name):
        raise Rejected(f"environment {name!r}: expected 1 to 64 of a-z, 0-9, - and _, such as `staging`")
    return name


def checked_label(of: str, name: str, *, chars_max: int = NAME_CHARS_MAX) -> str:
    """Return a name for people. Raises `Rejected`."""
    if not 1 <= len(name) <= chars_max or not name.isprintable() or name != name.strip():
        raise Rejected(f"{of} name {name!r}: expected 1 to {chars_max} printable characters, without blanks around them")
    return name
