"""What a text is told that is not what it should be: by JSON and by YAML alike."""

from controlzero.errors import Problem

INT_CHARS_MAX = 309  # of a whole number, as of the largest double


class Undecodable(Exception):  # noqa: N818 - it becomes a PolicyError at once
    """The text is not what it should be; `problems` say where and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


class NotYaml(Undecodable):
    """The text is not even YAML, of which JSON is a part."""


def undecodable(message: str) -> Undecodable:
    """Return the error that says so of the whole text."""
    return Undecodable(Problem("", message))


def integer(digits: str) -> int:
    """Return a whole number of digits. Raises `Undecodable` for one that no double holds."""
    if len(digits) > INT_CHARS_MAX:
        raise undecodable(f"a number of {len(digits):,} digits; no double holds more than {INT_CHARS_MAX}")
    return int(digits)
