"""Governance switched off: nothing is judged, every call goes ahead, and the records say so."""

from typing import Protocol

from msgspec import structs

from controlzero.guarding import Governed


class Source(Protocol):
    """Where what is judged by comes from."""

    @property
    def governed(self) -> Governed:
        """What is judged by at this moment."""
        ...


class PassThrough:
    """A source by which nothing is judged: what it says of the project is another's word, and the mode is `off`."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def governed(self) -> Governed:
        """What the other judges by, switched off."""
        return structs.replace(self._source.governed, mode="off")
