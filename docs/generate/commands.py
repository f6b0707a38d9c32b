"""The commands of docs/reference/cli.md: every option and example of the command line, as the command line itself knows them."""

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType

from cyclopts import App
from cyclopts.argument import Argument

from cz.__main__ import command_line
from docs.generate.markdown import code, fenced, table

EXAMPLE = "Example:"
VALUES = {str: "text", int: "number", float: "number", Path: "path", datetime: "time"}


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {"list": _list, "commands": _commands}


def commands() -> Iterator[tuple[tuple[str, ...], App]]:
    """Yield every command that does something, by the words that call it."""
    yield from _below(command_line(), ())


def examples(command: App) -> list[str]:
    """Return the example calls in a command's help, one a line."""
    told = [line.strip().removeprefix(EXAMPLE) for line in (command.help or "").splitlines() if line.strip().startswith(EXAMPLE)]
    return [call.strip() for line in told for call in re.split(r"\s{2,}(?=cz )", line) if call.strip()]


def _below(parent: App, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    children = {name: parent[name] for name in parent if not name.startswith("-")}
    yield from (((*words, name), child) for name, child in children.items() if child.default_command is not None)
    for name, child in children.items():
        yield from _below(child, (*words, name))


def _list() -> str:
    rows = [(f"[`cz {' '.join(words)}`](#cz-{'-'.join(words)})", _summary(command)) for words, command in commands()]
    return table(("command", "what it does"), rows)


def _commands() -> str:
    return "\n\n".join(_command(words, command) for words, command in commands())


def _command(words: tuple[str, ...], command: App) -> str:
    arguments = [argument for argument in command.assemble_argument_collection() if argument.show]
    positional = [_shown(argument) for argument in arguments if argument.index is not None]
    called = " ".join(["cz", *words, *positional, *(["[options]"] if len(arguments) > len(positional) else [])])
    rows = [_row(words, argument) for argument in arguments]
    parts = [
        f"### cz {' '.join(words)}",
        fenced(called, "text"),
        _description(command),
        table(("argument or option", "value", "default", "meaning"), rows),
        fenced("\n".join(examples(command)), "sh"),
    ]
    return "\n\n".join(parts)


def _summary(command: App) -> str:
    return (command.help or "").strip().partition("\n")[0]


def _description(command: App) -> str:
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or ""))
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith(EXAMPLE))


def _shown(argument: Argument) -> str:
    name = argument.name.removeprefix("--").upper() + (" …" if _is_many(argument) else "")
    return name if argument.required else f"[{name}]"


def _row(words: tuple[str, ...], argument: Argument) -> tuple[str, str, str, str]:
    if argument.index is not None:
        named = code(_shown(argument).strip("[]"))
    else:
        named = ", ".join(code(name) for name in argument.names if not name.startswith("--empty-"))
    return named, _value(argument), _default(argument), _meaning(words, argument)


def _meaning(words: tuple[str, ...], argument: Argument) -> str:
    if not argument.parameter.help:
        raise LookupError(f"cz {' '.join(words)} {argument.name}: nothing says what it is for; give its Parameter a `help`")
    return argument.parameter.help


def _value(argument: Argument) -> str:
    many = " …" if _is_many(argument) else ""
    choices = argument.get_choices()
    if choices:
        return " ".join(code(choice) for choice in choices) + many
    hint = _inner(argument.hint)
    if hint is bool:
        return ""
    if typing.get_origin(hint) is dict:
        return "`.KIND` text"
    return VALUES[hint] + many


def _default(argument: Argument) -> str:
    if argument.required:
        return "required"
    default = argument.field_info.default
    if default is None or default is inspect.Parameter.empty or default == "":
        return ""
    if isinstance(default, bool):
        return ("on" if default else "off") if any(name.startswith("--no-") for name in argument.names) else ""
    return code(str(default.value if isinstance(default, Enum) else default))


def _is_many(argument: Argument) -> bool:
    hint = argument.hint
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, UnionType) else (hint,)
    return any(typing.get_origin(part) in (list, tuple) for part in parts)


def _inner(hint: typing.Any) -> typing.Any:
    """Return a type without None and without the list around it."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not NoneType)
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (list, tuple) else hint
