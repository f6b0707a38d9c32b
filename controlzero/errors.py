"""Errors named for what the caller does next.

ControlZeroError
├── Rejected               bad input: quarantine it, go on
│   └── PolicyError        a policy that cannot be taken; `.problems` names each with its path
├── Unavailable            a dependency is down: back off, try again
├── Tampered               stop, tell a person
│   ├── BundleTamperError          a bundle's bytes were changed after signing, or are none
│   └── BundleVerificationError    its signature check failed: no trusted key signed it, or not for this project
│       └── BundleRollbackError    it is older than one taken before
└── PolicyDeniedError      the action must not happen; `.decision` says why
    (PolicyViolationError is the same)
"""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct


class ControlZeroError(Exception):
    """The root of all errors of Control Zero."""


class Rejected(ControlZeroError):  # noqa: N818 - named for what the caller does
    """Bad input: quarantine it and go on."""


class Problem(Struct, frozen=True):
    """One thing wrong with an input: where (`rules[2].conditions`, empty for the whole; its line in a text) and what."""

    path: str
    message: str
    line: int | None = None


class PolicyError(Rejected):
    """A policy that cannot be taken: every problem of it at once, each with its path."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        lines = [told(problem) for problem in problems]
        message = lines[0] if len(lines) == 1 else f"{len(lines)} problems:\n  " + "\n  ".join(lines)
        super().__init__(f"policy `{name}`: {message}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.problems)


def told(problem: Problem) -> str:
    """Say the fact, where it is, then the way out."""
    fact, semicolon, way_out = problem.message.partition("; ")
    where = f" at `{problem.path}`" if problem.path else ""
    line = f" (line {problem.line})" if problem.line is not None else ""
    return f"{fact}{where}{line}{semicolon}{way_out}"


class Unavailable(ControlZeroError):  # noqa: N818 - named for what the caller does
    """A dependency is down: back off and try again, after `retry_after_s` where that is known."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Tampered(ControlZeroError):  # noqa: N818 - named for what the caller does
    """Something is not what it was: stop and tell a person."""


class BundleTamperError(Tampered):
    """The bytes of a bundle are not those that were written: damaged, cut or edited after signing."""


class BundleVerificationError(Tampered):
    """A whole bundle that must not be taken: no trusted key signed it, its signature does not fit, or it is another project's."""


class BundleRollbackError(BundleVerificationError):
    """A bundle older than one that was taken before, or that claims its version with other content."""


class Explained(Protocol):
    """What a denial can be asked; the whole decision has more."""

    @property
    def effect(self) -> str:
        """What the caller must do: `deny`."""
        ...

    @property
    def reason(self) -> str | None:
        """Why, in a sentence for a person."""
        ...

    @property
    def policy_id(self) -> str | None:
        """The policy whose rule decided, or None where none did."""
        ...


class PolicyDeniedError(ControlZeroError):
    """The action must not happen. `decision` is the whole decision: effect, reason, policy, rule."""

    def __init__(self, message: str, *, decision: Explained) -> None:
        super().__init__(message)
        self.decision = decision

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), decision=self.decision), self.args  # so that a pool of processes brings it to who asked


PolicyViolationError = PolicyDeniedError
