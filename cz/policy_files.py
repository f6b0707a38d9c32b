"""Policy files as commands take them: several, globs, folders, standard input."""

from collections.abc import Iterable
from pathlib import Path

from controlplane.signing import parse_policies
from controlzero.errors import Rejected
from controlzero.policy import Policy
from controlzero.policy.parse import parse_all
from cz.opening import STANDARD_INPUT, read_text

SUFFIXES = (".json", ".yaml", ".yml")
TEST_SUFFIXES = tuple(f"_test{suffix}" for suffix in SUFFIXES)  # of the tests of policies, which lie beside them


def files_of(given: Iterable[Path], *, tests: bool = False) -> list[Path]:
    """Return the files that are meant, each once: those of a folder or a glob (policies, or `tests` of them), `-`. Raises `Rejected` where one stands for none."""
    found: dict[Path, None] = {}
    for path in given:
        there = _meant(path, tests=tests)
        if not there:
            raise Rejected(
                f"{path}: stands for no file; expected {', '.join(f'*{suffix}' for suffix in (TEST_SUFFIXES if tests else SUFFIXES))}"
            )
        found |= dict.fromkeys(there)
    return list(found)


def read_policies(files: Iterable[Path]) -> tuple[Policy, ...]:
    """Return the policies of files in their order, each named for its file where it gives no name itself."""
    return parse_all([policy for file in files_of(files) for policy in parse_policies(read_text(file), name=policy_name(file))])


def policy_name(file: Path) -> str:
    """Return the name of a policy that gives itself none."""
    return "policy" if file == STANDARD_INPUT else file.stem


def _meant(path: Path, *, tests: bool) -> list[Path]:
    if path == STANDARD_INPUT or path.is_file():
        return [path]
    if path.is_dir():
        found = path.rglob("*")
    elif any(sign in str(path) for sign in "*?["):
        found = (Path(path.anchor) if path.is_absolute() else Path()).glob(str(path.relative_to(path.anchor)))
    else:
        raise Rejected(f"{path}: there is none; expected a file, a folder, a pattern such as 'policies/**/*.yaml', or - for standard input")
    return sorted(each for each in found if each.is_file() and each.suffix in SUFFIXES and each.name.endswith(TEST_SUFFIXES) is tests)
