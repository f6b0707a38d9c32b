"""A page of docs/how-to as somebody follows it: its policy in a file that the client judges by, its code run as it stands."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "how-to"


@dataclass(frozen=True)
class Page:
    """A page by its name."""

    name: str

    @property
    def text(self) -> str:
        """All of it."""
        return (FOLDER / f"{self.name}.md").read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Return its blocks in a language, in order."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.M | re.S)

    def the(self, language: str) -> str:
        """Return its only block in a language."""
        (block,) = self.blocks(language)
        return block

    def put_policy(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
        """Put its one policy in force for clients of this process, which find what they need beyond that in `environment`."""
        (folder / "policy.yaml").write_text(self.the("yaml"))
        files = {"CONTROLZERO_POLICY_FILE": str(folder / "policy.yaml"), "CONTROLZERO_SPOOL": str(folder / "spool")}
        for name, value in {**environment, **files}.items():
            monkeypatch.setenv(name, value)

    def run(self) -> dict[str, Any]:
        """Run its Python in order; return the names it left."""
        names: dict[str, Any] = {"__name__": "page"}
        for block in self.blocks("python"):
            exec(block, names)
        return names
