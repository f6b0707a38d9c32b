"""The comments that stand beside definitions: what the code says of its own fields, limits and values."""

import ast
import inspect
import io
import itertools
import tokenize
from functools import cache
from types import ModuleType
from typing import cast


@cache
def field_comments(kind: type) -> dict[str, str]:
    """Return the comment behind each field of a class, by the field's name."""
    source = inspect.cleandoc("\n" + inspect.getsource(kind))
    definition = cast(ast.ClassDef, ast.parse(source).body[0])
    return _beside([node for node in definition.body if isinstance(node, ast.AnnAssign)], _comments(source))


@cache
def constant_comments(module: ModuleType) -> dict[str, str]:
    """Return the comment behind each constant of a module, or the text under it, by the constant's name."""
    source = inspect.getsource(module)
    body = ast.parse(source).body
    told = _beside([node for node in body if isinstance(node, ast.Assign | ast.AnnAssign)], _comments(source))
    for node, following in itertools.pairwise(body):
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) and isinstance(node, ast.Assign):
            told[_name(node)] = inspect.cleandoc(str(following.value.value))
    return told


@cache
def value_comments(module: ModuleType, literal: str) -> dict[str, str]:
    """Return the comment behind each value of a `Literal` that a module defines over several lines."""
    source = inspect.getsource(module)
    comments = _comments(source)
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and _name(node) == literal and isinstance(node.value, ast.Subscript):
            values = [each for each in ast.walk(node.value.slice) if isinstance(each, ast.Constant)]
            return {str(value.value): comments[value.lineno] for value in values if value.lineno in comments}
    raise LookupError(f"{module.__name__} defines no Literal `{literal}`")


def _beside(nodes: list[ast.AnnAssign] | list[ast.Assign | ast.AnnAssign], comments: dict[int, str]) -> dict[str, str]:
    return {_name(node): comments[node.end_lineno] for node in nodes if node.end_lineno in comments}


def _name(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _comments(source: str) -> dict[int, str]:
    """Return the comments by line; those for machines (`type: ignore`, `noqa`) are none, what follows them in words is."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {token.start[0]: token.string.removeprefix("#").strip() for token in tokens if token.type == tokenize.COMMENT}
    return {line: text for line, text in found.items() if not text.startswith(("type:", "noqa", "fmt:"))}
