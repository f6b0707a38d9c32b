"""Streamed answers on their way: every item is passed on as it is, and the outcome recorded when the stream ends, fails or is left."""

import inspect
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from controlzero.integrations.governor import Underway
from controlzero.integrations.usage import NOTHING_SAID, spent_of, together


class Streaming:
    """One streamed answer: counts its tokens, and knows whether somebody is reading it."""

    def __init__(self, underway: Underway) -> None:
        self._underway = underway
        self._spent = NOTHING_SAID
        self._is_advancing = False  # then an end of the response is the stream's own, and its watcher tells which
        self._is_watched = False

    def attach(self, answer: Any, response: Any) -> None:
        """Watch an answer whose body is still to come, by whichever way it will be read."""
        if not self._watch_items(answer) and callable(getattr(answer, "parse", None)):
            answer.parse = self._watching(answer.parse)
        self._watch_end(response)
        weakref.finalize(answer if self._is_watched else response, self.leave).atexit = False

    def watch(self, items: Iterator[Any]) -> Iterator[Any]:
        """Pass on the items of a stream."""
        self._is_watched = True
        try:
            while True:
                self._is_advancing = True
                try:
                    item = next(items)
                except StopIteration:
                    break
                self._is_advancing = False
                self._spent = together(self._spent, spent_of(item))
                yield item
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._underway.end(error, self._spent)
            raise
        self._underway.end(None, self._spent)

    async def watch_async(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """As `watch`, for asyncio."""
        self._is_watched = True
        try:
            while True:
                self._is_advancing = True
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                self._is_advancing = False
                self._spent = together(self._spent, spent_of(item))
                yield item
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._underway.end(error, self._spent)
            raise
        self._underway.end(None, self._spent)

    def leave(self) -> None:
        """Note that nobody will read on. It may come from the garbage collector, at any point of any thread."""
        self._underway.leave(self._spent)

    def _watch_items(self, answer: Any) -> bool:
        iterator = getattr(answer, "_iterator", None)
        if isinstance(iterator, AsyncIterator):
            answer._iterator = self.watch_async(iterator)  # noqa: SLF001 - the same object must be returned, and it iterates this
        elif isinstance(iterator, Iterator):
            answer._iterator = self.watch(iterator)  # noqa: SLF001
        else:
            return False
        self._is_watched = True
        return True

    def _watching(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        """Return the `parse` of a raw answer, which makes the stream that is to be watched."""

        def seen(parsed: Any) -> Any:
            if not self._is_watched:
                self._watch_items(parsed)
            return parsed

        async def awaited(parsing: Any) -> Any:
            return seen(await parsing)

        def parsing(*args: Any, **how: Any) -> Any:
            parsed = parse(*args, **how)
            return awaited(parsed) if inspect.isawaitable(parsed) else seen(parsed)

        return parsing

    def _watch_end(self, response: Any) -> None:
        """Take the end of the HTTP response for the end, where nobody iterates at that moment."""
        close, aclose = response.close, response.aclose

        def closed() -> Any:
            self._closed(response)
            return close()

        async def aclosed() -> Any:
            self._closed(response)
            return await aclose()

        response.close, response.aclose = closed, aclosed

    def _closed(self, response: Any) -> None:
        if self._is_advancing:
            return
        if self._is_watched or not getattr(response, "is_stream_consumed", True):
            self.leave()
        else:
            self._underway.end()
