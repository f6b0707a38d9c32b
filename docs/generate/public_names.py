"""The names of the SDK's reference pages: signatures and docstrings of what an agent may import."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import control_zero
import controlzero
from control_zero import errors as tool_errors
from controlzero import errors, policy, testing
from controlzero.integrations import anthropic, langchain, litellm, mcp, openai, openai_agents
from docs.generate.markdown import fenced

# Made by the product alone, or shown where its twin is: `errors` draws the tree of errors.
SHOWN_ELSEWHERE = frozenset({"__version__", *(name for name in controlzero.__all__ if hasattr(errors, name))})
MADE_FOR_CALLERS = frozenset({"PolicyDecision", "CompiledPolicy", "CompiledRule", "Judgement"})  # returned, never constructed
INNER = frozenset({"finish", "governance", "opened", "ready"})  # of wrappers, not of agents
LINE_CHARS_MAX = 100
STARS: Mapping[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
PLAIN_DEFAULTS = (int, float, str, bool, type(None))


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {
        "controlzero": lambda: _names(controlzero, [name for name in controlzero.__all__ if name not in SHOWN_ELSEWHERE]),
        "errors": lambda: fenced(inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2], "text"),
        "openai": lambda: _names(openai, ["wrap_openai"]),
        "mcp": lambda: _names(mcp, ["wrap_mcp"]),
        "langchain": lambda: _names(langchain, ["langchain_handler"]),
        "openai-agents": lambda: _names(openai_agents, ["agents_hooks", "wrap_models"]),
        "litellm": lambda: _names(litellm, ["wrap_litellm"]),
        "anthropic": lambda: _names(anthropic, ["wrap_anthropic"]),
        "policy": lambda: _names(policy, policy.__all__),
        "testing": lambda: _names(testing, ["SettableClock", "InMemoryGateway", "a_decision"]),
    }


def hosted_blocks() -> Mapping[str, Callable[[], str]]:
    """Return the generated blocks of the page on the hosted SDK's names."""
    return {
        "control_zero": lambda: _names(control_zero, ["AsyncControlZeroClient", "ControlZeroClient"]),
        "errors": lambda: fenced(inspect.cleandoc(tool_errors.__doc__ or "").partition("\n\n")[2], "text"),
    }


def _names(module: ModuleType, names: list[str]) -> str:
    return "\n\n".join(_name(module, name) for name in sorted(names, key=lambda name: (not name[0].isupper(), name)))


def _name(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    title = f"### {module.__name__}.{name}"
    if not isinstance(value, type):
        return f"{title}\n\n{fenced(signature(value, name=name), 'python')}\n\n{_told(value)}"
    parts = [title, fenced(_class_signature(value), "python"), _told(value), _attributes(value), *_members(value)]
    return "\n\n".join(part for part in parts if part)


def _told(value: Any) -> str:
    text = value.fget.__doc__ if isinstance(value, property) else value.__doc__
    return inspect.cleandoc(text or "")


def _class_signature(kind: type) -> str:
    if hasattr(kind, "__struct_fields__"):
        lines = [ast.unparse(node) for node in _definition(kind).body if isinstance(node, ast.AnnAssign)]
        return f"class {kind.__name__}:\n" + textwrap.indent("\n".join(lines), "    ")
    if kind.__name__ in MADE_FOR_CALLERS or "__init__" not in vars(kind):
        return f"class {kind.__name__}"
    return signature(vars(kind)["__init__"], name=f"class {kind.__name__}")


def _attributes(kind: type) -> str:
    """Return the properties a class defines with what they say, then its plain attributes by name."""
    properties = [(name, member) for name, member in vars(kind).items() if isinstance(member, property) and _is_shown(name)]
    lines = [f"- `{name}`: {_told(member)}" for name, member in properties]
    slots = () if hasattr(kind, "__struct_fields__") else vars(kind).get("__slots__", ())
    plain = ", ".join(f"`{name}`" for name in slots if _is_shown(name))
    return "\n".join([*lines, *([f"- further {plain}: see [the record](records.md#decision)"] if plain else [])])


def _members(kind: type) -> Iterator[str]:
    """Yield the public methods a class defines, each with what it does."""
    for name, member in vars(kind).items():
        if isinstance(member, FunctionType) and _is_shown(name):
            yield f"{fenced(signature(member, name=f'.{name}'), 'python')}\n\n{_told(member)}"


def _is_shown(name: str) -> bool:
    return not name.startswith("_") and name not in INNER


def signature(function: Any, *, name: str) -> str:
    """Return how a function is called, as its source writes it, constants as their values; long ones over several lines."""
    wrapped = inspect.unwrap(function)
    definition = _definition(wrapped)
    arguments = list(_arguments(definition.args, inspect.signature(wrapped)))
    called = f"{_keyword(wrapped)}{name}"
    returned = "" if name.startswith("class ") or definition.returns is None else _returned(ast.unparse(definition.returns), called)
    one_line = f"{called}({', '.join(arguments)}){returned}"
    if len(one_line) <= LINE_CHARS_MAX:
        return one_line
    return f"{called}(\n" + "".join(f"    {text},\n" for text in arguments) + f"){returned}"


def _keyword(function: Any) -> str:
    """Return what stands before a call: a generator behind a public name is a context manager."""
    kinds = {inspect.isasyncgenfunction: "async with ", inspect.isgeneratorfunction: "with ", inspect.iscoroutinefunction: "await "}
    return next((keyword for is_kind, keyword in kinds.items() if is_kind(function)), "")


def _returned(annotation: str, called: str) -> str:
    if "with " not in called:
        return f" -> {annotation}"
    given = annotation.partition("Iterator[")[2].removesuffix("]")
    return "" if given == "None" else f" as {given}"


def _arguments(written: ast.arguments, known: inspect.Signature) -> Iterator[str]:
    several = [node for node in (written.vararg, written.kwarg) if node is not None]
    annotations = {node.arg: node.annotation for node in [*written.posonlyargs, *written.args, *written.kwonlyargs, *several]}
    sources = _default_sources(written)
    has_star = False
    for parameter in known.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
            has_star = True
            yield "*"
        prefix = STARS.get(parameter.kind, "")
        annotation = annotations.get(parameter.name)
        text = prefix + parameter.name + (f": {ast.unparse(annotation).strip(chr(39))}" if annotation else "")
        if parameter.default is not parameter.empty:
            is_plain = isinstance(parameter.default, PLAIN_DEFAULTS)
            text += f" = {parameter.default!r}" if is_plain else f" = {sources[parameter.name]}"
        yield text


def _default_sources(written: ast.arguments) -> dict[str, str]:
    positional = [*written.posonlyargs, *written.args]
    pairs = [*zip(positional[len(positional) - len(written.defaults) :], written.defaults, strict=True)]
    pairs += [(node, default) for node, default in zip(written.kwonlyargs, written.kw_defaults, strict=True) if default is not None]
    return {node.arg: ast.unparse(default) for node, default in pairs}


def _definition(value: Any) -> Any:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    return definition
