"""Tools that are Python: functions, and the public methods of objects, registered by name."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from control_zero.errors import ToolNotFound

Method = Callable[..., Any]


class RegisteredTools:
    """The tools that an agent registered: each a function, a mapping of methods by name, or an object."""

    def __init__(self) -> None:
        self._tools: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """The names of the tools."""
        return list(self._tools)

    def add(self, name: str, target: object) -> None:
        """Register a tool. Raises ValueError where nothing of it can be called."""
        if isinstance(target, type | ModuleType) or not (inspect.isroutine(target) or methods_of(target)):
            raise ValueError(
                f"tool `{name}`: nothing of {target!r} can be called; expected a function, a mapping of functions by method name, or an "
                "object with public methods"
            )
        self._tools[name] = target

    def add_method(self, name: str, method: str, function: Method) -> None:
        """Register one method of a tool beside those it has. Raises ValueError where it is a function."""
        there = self._tools.get(name, {})
        if inspect.isroutine(there):
            raise ValueError(
                f"tool `{name}`: it is the function {there!r}, which takes every method; register a mapping or an object instead"
            )
        self._tools[name] = {**methods_of(there), method: function}

    def method(self, tool: str, method: str) -> Method | None:
        """Return what carries out a call, None where the tool is not registered. Raises `ToolNotFound` for a method it has not."""
        if tool not in self._tools:
            return None
        target = self._tools[tool]
        if inspect.isroutine(target):
            return partial(target, method)
        methods = methods_of(target)
        if method in methods:
            return methods[method]
        close = get_close_matches(method, methods, 1)
        guess = f"; did you mean `{close[0]}`?" if close else ""
        raise ToolNotFound(f"tool `{tool}`: no method `{method}`, expected one of {', '.join(sorted(methods))}{guess}")


def methods_of(target: object) -> dict[str, Method]:
    """Return what may be called of a mapping or an object: never what begins with an underscore, nor a class."""
    if isinstance(target, Mapping):
        return {str(name): function for name, function in target.items() if callable(function)}
    found = ((name, inspect.getattr_static(target, name, None)) for name in dir(target) if not name.startswith("_"))
    return {name: getattr(target, name) for name, member in found if isinstance(member, FunctionType | staticmethod | classmethod)}
