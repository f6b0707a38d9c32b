"""What clients of one process share: one source, one recorder and one vault for each server, project, key and way of delivery."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import structs

from controlzero.errors import Rejected, Unavailable
from controlzero.policy_file import LocalSource
from controlzero.recorder.folders import Destination
from controlzero.recorder.link import HttpLink, Link
from controlzero.recorder.recording import EXIT_S_MAX, Recorder
from controlzero.session import Session
from controlzero.settings import Settings
from controlzero.source import START_RETRY_S, START_S_MAX, ServedSource, session_of
from controlzero.vault import Vault

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
        self._secret_users = 0
        self.users = 0
        self.vault = Vault()
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
                self.source = ServedSource(self._settings, self._link(self._settings.api_key), clock=self._clock, vault=self.vault)
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

    def open_session(self) -> Session:
        """Ask the server for the project's tools, and hold the secrets the key may read for one more client. Raises as `session` does."""
        with self._starting:
            session = self.session(needs_secrets=False)
            self._hold(session.secrets)
            self._secret_users += 1
        return session

    def session(self, *, needs_secrets: bool) -> Session:
        """Ask the server for the project's tools and secrets. Raises `Rejected`, also where the key may not read what is needed, or `Unavailable`."""
        settings = self._settings
        if settings.api_key is None:
            raise Rejected("session: tools and secrets come from a server, and this client judges by a policy file; expected an API key")
        link = self._link(settings.api_key)
        give_up_at = time.monotonic() + START_S_MAX
        try:
            while True:
                try:
                    reply = link.session(self.source.governed.project_id, with_secrets=True, timeout_s=START_S_MAX)
                    return session_of(reply, settings, with_secrets=needs_secrets)
                except Unavailable:
                    if time.monotonic() > give_up_at:
                        raise
                time.sleep(START_RETRY_S)
        finally:
            link.close()

    def open_secrets(self) -> None:
        """Hold the project's secrets for one more client, asking the server if nobody did. Raises as `session` does."""
        with self._starting:
            if not self._secret_users:
                self._hold(self.session(needs_secrets=True).secrets)
            self._secret_users += 1

    def _hold(self, secrets: Mapping[str, str]) -> None:
        self.vault.fill(secrets)
        self.source.governed.masking.forget_clean()

    def close_secrets(self) -> None:
        """Leave the secrets; the last one wipes them."""
        with self._starting:
            self._secret_users -= 1
            if not self._secret_users:
                self.vault.wipe()

    def forget(self) -> None:
        """Leave threads and connections to the parent: called in a forked child."""
        self._starting = threading.Lock()
        if self._is_started and isinstance(self.source, ServedSource):
            self.source.forget()

    def _recorder(self) -> Recorder:
        settings = self._settings
        url, link = self._way()
        return Recorder(
            Destination(self.source.governed.project_id, url),
            root=settings.spool,
            link=link,
            clock=self._clock,
            new_id=self._new_id,
            bytes_max=settings.spool_bytes_max,
            on_begin=self.source.follow,
        )

    def _way(self) -> tuple[str | None, Link | None]:
        """Return where records go, and what brings them there."""
        settings = self._settings
        if settings.brokers is not None:
            from controlzero.recorder.kafka_link import KafkaLink  # with what it imports: nobody else needs it

            return settings.brokers.url, KafkaLink(settings.brokers)
        return (None, None) if settings.api_key is None else (settings.base_url, self._link(settings.api_key))

    def _link(self, api_key: str) -> HttpLink:
        return HttpLink(self._settings.base_url, api_key, transport=self._transport)


def open_connection(settings: Settings, *, transport: "httpx.BaseTransport | None", clock: Clock, new_id: NewId) -> Connection:
    """Return the connection for these settings: a client per request must not mean a producer per request."""
    key = (structs.replace(settings, agent_id=None, environment=None), id(transport), id(clock))
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
