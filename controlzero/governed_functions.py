"""Functions of one's own as governed tools: judged with their arguments by name, their outcome recorded."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing
from functools import wraps
from typing import Any, TypeVar

from controlzero.decisions import PolicyDecision, carrying_out
from controlzero.errors import Rejected
from controlzero.governance import Governance

Facts = Mapping[str, object]
Function = TypeVar("Function", bound=Callable[..., Any])
BOUND = ("self", "cls")  # what a method is called on is no argument of the tool


def governed(
    function: Function,
    tool: str | None,
    method: str | None,
    tags: Facts | None,
    *,
    governance: Callable[[], Governance] | None = None,
    opened: Callable[[], Awaitable[Governance]] | None = None,
) -> Function:
    """Return a function that asks before it runs, of the same kind as the one given.

    `governance` is asked at each call of a plain function; an asynchronous one awaits `opened` where it is there.
    Raises `Rejected` for what cannot be governed so.
    """
    name = tool or getattr(function, "__name__", None)
    if name is None:
        raise Rejected(f"tool: {type(function).__name__} has no name; expected a function, or the tool's name as an argument")
    signature = inspect.signature(function)

    def judged(by: Governance, args: tuple[Any, ...], named: Mapping[str, Any]) -> PolicyDecision:
        return by.guard(name, method, arguments(signature, args, named), None, None, tags, None)

    async def judged_async(args: tuple[Any, ...], named: Mapping[str, Any]) -> PolicyDecision:
        return judged(await opened() if opened is not None else governance(), args, named)  # type: ignore[misc]  # one of them is there

    called = function if inspect.isroutine(function) else type(function).__call__
    wrapped: Any
    if inspect.isasyncgenfunction(called):
        wrapped = _async_generator(function, judged_async)
    elif inspect.iscoroutinefunction(called):
        wrapped = _coroutine(function, judged_async)
    elif governance is None:
        raise Rejected(f"tool `{name}`: an AsyncClient governs asynchronous functions; expected `async def`, or a Client")
    else:
        kind = _generator if inspect.isgeneratorfunction(called) else _plain
        wrapped = kind(function, lambda args, named: judged(governance(), args, named))
    return wrapped  # type: ignore[no-any-return]  # of the kind that was given


def arguments(signature: inspect.Signature, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included; those without a parameter of their own go by theirs."""
    bound = signature.bind(*args, **named)
    bound.apply_defaults()
    found = dict(bound.arguments)
    for place, parameter in enumerate(signature.parameters.values()):
        if place == 0 and parameter.name in BOUND:
            del found[parameter.name]
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found[parameter.name] = list(found[parameter.name])
        elif parameter.kind is parameter.VAR_KEYWORD:
            found = {**found.pop(parameter.name), **found}
    return found


Judged = Callable[[tuple[Any, ...], Mapping[str, Any]], PolicyDecision]
JudgedAsync = Callable[[tuple[Any, ...], Mapping[str, Any]], Awaitable[PolicyDecision]]


def _plain(function: Any, judged: Judged) -> Any:
    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        with carrying_out(judged(args, named)):
            return function(*args, **named)

    return call


def _generator(function: Any, judged: Judged) -> Any:
    @wraps(function)
    def generate(*args: Any, **named: Any) -> Generator[Any, Any, Any]:
        with carrying_out(judged(args, named)):
            return (yield from function(*args, **named))

    return generate


def _coroutine(function: Any, judged: JudgedAsync) -> Any:
    @wraps(function)
    async def call(*args: Any, **named: Any) -> Any:
        with carrying_out(await judged(args, named)):
            return await function(*args, **named)

    return call


def _async_generator(function: Any, judged: JudgedAsync) -> Any:
    @wraps(function)
    async def generate(*args: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        with carrying_out(await judged(args, named)):
            async with aclosing(function(*args, **named)) as items:
                try:
                    item = await anext(items)
                    while True:  # as `yield from` does, which asynchronous generators lack
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise
                        except BaseException as thrown:  # noqa: BLE001 - it is the generator's, to catch or to let out
                            item = await items.athrow(thrown)
                        else:
                            item = await items.asend(sent)
                except StopAsyncIteration:
                    return

    return generate
