"""The documents the product implements, as printed but for the indentation that printing lost; and how a reader runs their code.

`tests/seeds/*.md` are the documents line by line, with fences around what is code. What a fence holds is run as it stands.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environments import without_ours

FOLDER = Path(__file__).parent / "seeds"
DOCUMENTS = sorted(FOLDER.glob("*.md"))
FENCE = re.compile(r"^```(\w*)$")
API_KEY = "cz_live_your_api_key_here"  # the example key of three documents
VAULT_KEY = "cz_live_your_key_here"  # and that of one
ELIDED_ARGUMENTS = re.compile(r'(create\(model="[^"]+"), \.\.\.\)')  # no Python: an argument without a name after one with


def snippets(document: str, language: str = "python") -> list[str]:
    """Return what a document prints in a language, in order."""
    (path,) = FOLDER.glob(f"{document}-*.md")
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)


def the_snippet(document: str, holds: str) -> str:
    """Return the only Python snippet of a document that holds a text."""
    (found,) = [snippet for snippet in snippets(document) if holds in snippet]
    return found


def the_policy(document: str, holds: str) -> dict[str, Any]:
    """Return the only policy of a document that holds a text."""
    (found,) = [snippet for snippet in snippets(document, "json") if holds in snippet]
    policy: dict[str, Any] = json.loads(found)
    return policy


def with_messages(snippet: str) -> str:
    """Return a snippet with arguments where it says only that there are some."""
    return ELIDED_ARGUMENTS.sub(r'\1, messages=[{"role": "user", "content": "Hello"}])', snippet)


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a document: where their product and their model answer, and where they work."""

    api_url: str
    model_url: str
    folder: Path
    api_key: str = API_KEY

    def run(self, *code: str, project: str, **environment: str) -> list[str]:
        """Run code as a program of its own, in order, and return the lines it printed; fail with what it said where it fails."""
        done = self.start("\n".join(code), project, environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def fail(self, *code: str, project: str, **environment: str) -> str:
        """Run code that ends in an error, and return the last line of that."""
        done = self.start("\n".join(code), project, environment)
        assert done.returncode == 1, done.stdout
        return done.stderr.splitlines()[-1]

    def start(self, code: str, project: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run code in a process without settings of this one's."""
        program = self.folder / "program.py"
        program.write_text(code, encoding="utf-8")
        own = {name: value for name, value in without_ours().items() if not name.startswith("OPENAI_")}
        said = {
            "CONTROLZERO_BASE_URL": self.api_url,
            "CONTROLZERO_API_KEY": self.api_key,
            "CONTROLZERO_PROJECT_ID": project,
            "CONTROLZERO_SPOOL": str(self.folder / "spool"),
            "OPENAI_API_KEY": "sk-of-nobody",
            "OPENAI_BASE_URL": f"{self.model_url}/v1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        return subprocess.run(
            [sys.executable, str(program)],
            cwd=self.folder,
            env={**own, **said, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
