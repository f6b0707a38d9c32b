"""Policy files as commands take them: several, globs, folders, standard input."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from controlplane.signing import parse_policies
from controlzero.errors import Rejected
from controlzero.policy import Policy
from controlzero.policy.parse import parse_all
from cz.opening import STANDARD_INPUT, read_text

SUFFIXES = (".json", ".yaml", ".yml")


def files_of(given: Iterable[Path], *, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return the files that are meant, each once: a folder's with one of `suffixes`, a glob's, `-`. Raises `Rejected` where one stands for none."""
    found: dict[Path, None] = {}
    for path in given:
        there = _meant(path, suffixes)
        if not there:
            raise Rejected(
                f"{path}: stands for no file; expected a file, a folder or a pattern such as 'policies/**/*.yaml', or - for standard input"
            )
        found |= dict.fromkeys(there)
    return list(found)


def read_policies(files: Iterable[Path]) -> tuple[Policy, ...]:
    """Return the policies of files in their order, each named for its file where it gives no name itself."""
    return parse_all([policy for file in files_of(files) for policy in parse_policies(read_text(file), name=policy_name(file))])


def policy_name(file: Path) -> str:
    """Return the name of a policy that gives itself none."""
    return "policy" if file == STANDARD_INPUT else file.stem


def _meant(path: Path, suffixes: Sequence[str]) -> list[Path]:
    if path == STANDARD_INPUT or path.is_file():
        return [path]
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file() and each.name.endswith(tuple(suffixes)))
    if not any(sign in str(path) for sign in "*?["):
        return [path] if not path.exists() and path.suffix else []
    root = Path(path.anchor) if path.is_absolute() else Path()
    return sorted(each for each in root.glob(str(path.relative_to(path.anchor))) if each.is_file())
