"""A project's secrets in an agent's memory: looked up without a network, masked wherever they turn up, wiped at the end."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NoReturn

from controlzero.errors import Rejected

MASKED_BYTES_MIN = 4  # a shorter secret is part of ordinary words, which would all be masked


class Vault:
    """Secrets by name, each as bytes that are overwritten when they are let go. It is never shown, copied or pickled."""

    __slots__ = ("_held", "_spellings")

    def __init__(self) -> None:
        self._held: dict[str, bytearray] = {}
        self._spellings: tuple[bytearray, ...] = ()

    def fill(self, secrets: Mapping[str, str]) -> None:
        """Hold these secrets and no others."""
        self.wipe()
        self._held = {name: bytearray(secret, "utf-8", "surrogatepass") for name, secret in secrets.items()}
        escaped = (bytearray(json.dumps(secret, ensure_ascii=False)[1:-1], "utf-8", "surrogatepass") for secret in secrets.values())
        spellings = [*self._held.values(), *(spelling for spelling in escaped if spelling not in self._held.values())]
        self._spellings = tuple(sorted((each for each in spellings if len(each) >= MASKED_BYTES_MIN), key=len, reverse=True))

    def wipe(self) -> None:
        """Overwrite what is held, and hold nothing."""
        gone = [*self._held.values(), *self._spellings]
        self._held, self._spellings = {}, ()
        for each in gone:
            each[:] = bytes(len(each))

    def get(self, name: str) -> str:
        """Return the secret of that name. Raises `Rejected`, which says what names there are."""
        held = self._held.get(name)
        if held is not None:
            return held.decode("utf-8", "surrogatepass")
        names = sorted(self._held)
        if not names:
            raise Rejected(f"secret `{name}`: the project has none for the environment of this key; `cz secrets set` keeps one")
        close = get_close_matches(name, names, 1)
        guess = f"; did you mean `{close[0]}`?" if close else ""
        raise Rejected(f"secret `{name}`: there is none of that name, expected one of {', '.join(names)}{guess}")

    @property
    def masks_nothing(self) -> bool:
        """Whether it holds no secret long enough to be masked: then no text need be looked at."""
        return not self._spellings

    def is_in(self, data: bytes) -> bool:
        """Say whether a secret stands in a text or in JSON, in UTF-8."""
        for spelling in self._spellings:  # noqa: SIM110 - asked at each call, mostly of no secrets: a generator would cost more than that
            if spelling in data:
                return True
        return False

    def find(self, data: bytes) -> list[tuple[int, int, str]]:
        """Return where secrets stand in a text, without overlaps, the longest first, in order; with their text."""
        hits: list[tuple[int, int, str]] = []
        for spelling in self._spellings:
            start = data.find(spelling)
            while start >= 0:
                end = start + len(spelling)
                if all(end <= first or start >= last for first, last, _ in hits):
                    hits.append((start, end, spelling.decode("utf-8", "surrogatepass")))
                start = data.find(spelling, end)
        return sorted(hits)

    def __repr__(self) -> str:
        return f"<Vault: {len(self._held)} hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are neither pickled nor copied")
