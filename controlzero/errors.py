"""Errors named for what the caller does next.

ControlZeroError
├── Rejected       bad input: quarantine it, go on
├── Unavailable    a dependency is down: back off, try again
└── Tampered       stop, tell a person
"""


class ControlZeroError(Exception):
    """The root of all errors of Control Zero."""


class Rejected(ControlZeroError):  # noqa: N818 - named for what the caller does
    """Bad input: quarantine it and go on."""


class Unavailable(ControlZeroError):  # noqa: N818 - named for what the caller does
    """A dependency is down: back off and try again, after `retry_after_s` where that is known."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Tampered(ControlZeroError):  # noqa: N818 - named for what the caller does
    """Something is not what it was: stop and tell a person."""
