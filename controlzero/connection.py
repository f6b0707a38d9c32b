"""What clients of one process share: one source and one recorder for each server, project and key."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from controlzero.recorder.folders import Destination
from controlzero.recorder.link import HttpLink
from controlzero.recorder.recording import EXIT_S_MAX, Recorder
from controlzero.settings import Settings
from controlzero.source import LocalSource, ServedSource

if TYPE_CHECKING:
    import httpx

Clock = Callable[[], int]
NewId = Callable[[int], str]


class Connection:
    """A source and the recorder that goes with it, for all clients configured alike."""

    def __init__(self, settings: Settings, transport: "httpx.BaseTransport | None", clock: Clock, new_id: NewId) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._new_id = new_id
        self._starting = threading.Lock()
        self._is_started = False
        self.users = 0
        self.source: LocalSource | ServedSource
        self.recorder: Recorder

    def start(self) -> None:
        """Obtain what to judge by, once. Raises where there is nothing."""
        with self._starting:
            if self._is_started:
                return
            if self._settings.api_key is None:
                self.source = LocalSource(self._settings)
            else:
                self.source = ServedSource(self._settings, self._link(self._settings.api_key))
                self.source.start()
            self.recorder = self._recorder()
            self._is_started = True

    def close(self, timeout_s: float = EXIT_S_MAX) -> bool:
        """Leave it; the last one ends the producer. Return False where records wait to be adopted."""
        with _OPENING:
            self.users -= 1
            if self.users:
                return True
            for key in [key for key, connection in _OPEN.items() if connection is self]:
                del _OPEN[key]
        self.source.stop()
        return self.recorder.close(timeout_s)

    def forget(self) -> None:
        """Leave threads and connections to the parent: called in a forked child."""
        self._starting = threading.Lock()
        if self._is_started and isinstance(self.source, ServedSource):
            self.source.forget()

    def _recorder(self) -> Recorder:
        settings = self._settings
        project_id = self.source.governed.project_id
        return Recorder(
            Destination(project_id, None if settings.api_key is None else settings.base_url),
            root=settings.spool,
            link=None if settings.api_key is None else self._link(settings.api_key),
            clock=self._clock,
            new_id=self._new_id,
            bytes_max=settings.spool_bytes_max,
            on_begin=self.source.follow,
        )

    def _link(self, api_key: str) -> HttpLink:
        return HttpLink(self._settings.base_url, api_key, transport=self._transport)


def open_connection(settings: Settings, *, transport: "httpx.BaseTransport | None", clock: Clock, new_id: NewId) -> Connection:
    """Return the connection for these settings: a client per request must not mean a producer per request."""
    key = (settings.api_key, settings.base_url, settings.project_id, settings.spool, id(transport), id(clock))
    with _OPENING:
        connection = _OPEN.get(key) if settings.api_key is not None else None
        if connection is None:
            connection = Connection(settings, transport, clock, new_id)
            if settings.api_key is not None:
                _OPEN[key] = connection
        connection.users += 1
    try:
        connection.start()
    except BaseException:
        with _OPENING:
            connection.users -= 1
            if not connection.users:
                _OPEN.pop(key, None)
        raise
    return connection


_OPEN: dict[tuple[object, ...], Connection] = {}
_OPENING = threading.Lock()


def _forget_all() -> None:
    global _OPENING
    _OPENING = threading.Lock()
    for connection in _OPEN.values():
        connection.forget()


os.register_at_fork(after_in_child=_forget_all)
