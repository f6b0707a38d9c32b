"""Errors of a tool call, beside those of `controlzero.errors`; `was_asked` says whether the tool may have done its work.

ControlZeroError
├── Rejected
│   ├── ToolNotFound       no such tool, or no such method of it; a ValueError too
│   └── ToolCallRejected   the call cannot be made as it is: its arguments, or a secret that is not there
├── ToolError              the tool was asked, and answered with an error or with what cannot be taken
└── Unavailable
    └── ToolUnavailable    the tool was not reached, ended, or gave no answer in time
"""

from controlzero.errors import ControlZeroError, Rejected, Unavailable


class ToolNotFound(Rejected, ValueError):  # noqa: N818 - named for what the caller does
    """There is no tool of that name, or no such method of it, neither registered nor in the session config."""

    was_asked = False


class ToolCallRejected(Rejected):
    """The call cannot be made as it is, and was not made."""

    was_asked = False


class ToolError(ControlZeroError):
    """The tool was asked, and answered with an error or with what cannot be taken."""


class ToolUnavailable(Unavailable):
    """The tool gave no answer. Where it `was_asked`, it may have done its work all the same."""

    def __init__(self, message: str, *, was_asked: bool) -> None:
        super().__init__(message)
        self.was_asked = was_asked
