"""`tests/seeds` holds the documents line by line as printed: only indentation, which printing lost, and fences are ours."""

import ast
import json
from pathlib import Path

import pytest

from tests.printed import DOCUMENTS, FENCE, snippets, with_messages

NUMBERS = [path.name[:3] for path in DOCUMENTS]


def printed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not FENCE.match(line)]


def outside_fences(path: Path) -> list[str]:
    lines, is_code = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            lines.append(line)
    assert not is_code
    return lines


def is_statement(line: str) -> bool:
    """Whether a line alone does something in Python: names and literals do not, and are words of prose."""
    try:
        body = ast.parse(line.strip()).body
    except SyntaxError:
        return line.strip().startswith(("def ", "async def ", "class ", "with ", "try:", "except "))
    return any(isinstance(node, (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Return)) for node in body)


def test_there_are_the_four_documents_with_code() -> None:
    assert NUMBERS == ["000", "001", "002", "003"]


@pytest.mark.needs("seeds")
@pytest.mark.parametrize("path", DOCUMENTS, ids=NUMBERS)
def test_every_line_is_the_documents_and_none_is_missing(path: Path, shared: Path) -> None:
    (original,) = (shared / "seeds").glob(f"{path.name[:3]}_*.txt")
    assert printed(path.read_text(encoding="utf-8")) == printed(original.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=NUMBERS)
def test_no_python_stands_outside_the_fences(path: Path) -> None:
    assert [line for line in outside_fences(path) if is_statement(line)] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_every_snippet_is_python(number: str) -> None:
    found = snippets(number)
    assert found
    for snippet in found:
        ast.parse(with_messages(snippet))


def test_every_policy_is_json() -> None:
    policies = [json.loads(snippet) for number in NUMBERS for snippet in snippets(number, "json")]
    assert len(policies) == 9
    assert all("rules" in policy for policy in policies)
