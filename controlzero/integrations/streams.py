"""Streamed answers on their way: every item is passed on as it is, and the outcome recorded when the stream ends, fails or is left."""

import inspect
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from controlzero.integrations.governor import Underway, edge
from controlzero.integrations.prices import Spent
from controlzero.integrations.usage import NOTHING_SAID, spent_of, spent_of_body, together


class Streaming:
    """One streamed answer: counts its tokens, and knows whether somebody is reading it."""

    def __init__(self, underway: Underway, read: Callable[[Any], Spent] = spent_of) -> None:
        self._underway = underway
        self._read = read
        self._spent = NOTHING_SAID
        self._is_advancing = False  # then an end of the response is the stream's own, and its watcher tells which
        self._is_watched = False

    def attach(self, answer: Any, response: Any) -> None:
        """Watch an answer whose body is still to come, by whichever way it will be read."""
        if not self._watch_items(answer) and callable(getattr(answer, "parse", None)):
            answer.parse = self._watching(answer.parse)
        self._watch_reading(response)
        self._watch_end(response)
        weakref.finalize(answer if self._is_watched else response, self.leave).atexit = False

    def watch(self, items: Iterator[Any]) -> Iterator[Any]:
        """Pass on the items of a stream."""
        self._is_watched = True
        try:
            while True:
                try:
                    item = self.next(lambda: next(items))
                except StopIteration:
                    return
                yield item
        except GeneratorExit:
            self.leave()
            raise

    async def watch_async(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """As `watch`, for asyncio."""
        self._is_watched = True
        try:
            while True:
                try:
                    item = await self.next_async(lambda: anext(items))
                except StopAsyncIteration:
                    return
                yield item
        except GeneratorExit:
            self.leave()
            raise

    def next(self, following: Callable[[], Any]) -> Any:
        """Take the next item, with what it says of tokens; its end and its failure are the call's outcome."""
        self._is_advancing = True
        try:
            item = following()
        except BaseException as error:
            self._end(error)
            raise
        return self._passed(item)

    async def next_async(self, following: Callable[[], Awaitable[Any]]) -> Any:
        """As `next`, for asyncio."""
        self._is_advancing = True
        try:
            item = await following()
        except BaseException as error:
            self._end(error)
            raise
        return self._passed(item)

    def leave(self) -> None:
        """Note that nobody will read on. It may come from the garbage collector, at any point of any thread."""
        self._underway.leave(self._spent)

    def _passed(self, item: Any) -> Any:
        self._is_advancing = False
        self._spent = together(self._spent, edge(self._read, item, NOTHING_SAID))
        return item

    def _end(self, error: BaseException) -> None:
        self._underway.end(None if isinstance(error, StopIteration | StopAsyncIteration) else error, self._spent)

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

    def _watch_reading(self, response: Any) -> None:
        """Take what a body says that is read whole, as `read`, `json` and `parse` of a streamed raw answer do."""
        plain, plain_async = response.read, response.aread

        def read() -> bytes:
            return self._whole(self.next(plain))

        async def aread() -> bytes:
            return self._whole(await self.next_async(plain_async))

        response.read, response.aread = read, aread

    def _whole(self, body: bytes) -> bytes:
        self._underway.end(None, edge(spent_of_body, body, NOTHING_SAID))
        return body

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
