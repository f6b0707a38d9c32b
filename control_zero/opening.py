"""What `initialize()` obtains and `close()` gives back: what to judge by, and the tools and secrets of the session config."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from control_zero.errors import ToolNotFound
from control_zero.registered_tools import RegisteredTools
from control_zero.remote_tools import RemoteTools
from control_zero.settings import Options
from controlzero.client import Opening, open_governance
from controlzero.errors import Rejected, Unavailable
from controlzero.governance import Governance
from controlzero.pass_through import PassThrough
from controlzero.policy import Identity
from controlzero.policy_file import LocalSource
from controlzero.recorder.recording import EXIT_S_MAX
from controlzero.source import ServedSource

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("control_zero")


class Surroundings(Struct, frozen=True):
    """What a client is made with beside its options."""

    transport: "httpx.BaseTransport | None"
    clock: Callable[[], int]
    new_id: Callable[[int], str]


class Opened:
    """What an initialized client stands on. Raises what keeps it from being there."""

    def __init__(self, options: Options, surroundings: Surroundings) -> None:
        identity = Identity(agent_id=options.settings.agent_id)
        how = Opening(identity, has_secrets=False, transport=surroundings.transport, clock=surroundings.clock, new_id=surroundings.new_id)
        self.governance: Governance = open_governance(options.settings, how)
        self.remote = RemoteTools(self.governance.secret, options.inherited, self.governance.without_secrets)
        self._source = self.governance.source
        self._asking = threading.Lock()
        self._has_session = options.policy_mode == "local"
        try:
            self._open_session()
        except Unavailable as error:
            if options.is_governed and options.policy_mode != "hybrid":
                self.close(0)
                raise
            log.warning("The server gave no session config, so only registered tools are there until it does: %s", error)
        except BaseException:
            self.close(0)
            raise
        if not options.is_governed:
            self.governance.source = PassThrough(self._source)

    def reach(self, tool: str, registered: RegisteredTools) -> None:
        """See that a tool is in the session config, asking for that where it is still to come. Raises `ToolNotFound`."""
        if tool not in self.remote.by_name:
            try:
                self._open_session()
            except (Unavailable, Rejected) as error:
                raise ToolNotFound(f"tool `{tool}`: it is not registered, and the session config is still to come: {error}") from error
        if tool not in self.remote.by_name:
            there = ", ".join(sorted({*registered.names, *self.remote.by_name})) or "none"
            raise ToolNotFound(
                f"tool `{tool}`: it is not in the session config, nor registered; there is {there}. Declare it (`cz tools set`, or the page "
                "Tools), or register it with client.register_tool(...)"
            )

    def sync(self) -> bool:
        """Ask the server for its bundle, or read the file again; return whether that succeeded. Raises `Tampered`."""
        try:
            self._file_or_server.refresh()
        except (Unavailable, Rejected) as error:
            log.warning("The policies were not synchronized: %s", error)
            return False
        return True

    def load(self, path: Path) -> bool:
        """Judge by a file's bundle. Raises `Rejected` or `Tampered`."""
        self._file_or_server.take_file(path)
        return True

    def close(self, timeout_s: float = EXIT_S_MAX) -> None:
        """Deliver what is recorded, wipe the secrets, end the tools."""
        try:
            self.remote.close()
        finally:
            self.governance.close(timeout_s)

    @property
    def _file_or_server(self) -> LocalSource | ServedSource:
        if isinstance(self._source, LocalSource | ServedSource):
            return self._source
        raise TypeError(f"{type(self._source).__name__} gives no bundles")

    def _open_session(self) -> None:
        with self._asking:
            if not self._has_session:
                self.remote.offer(self.governance.open_session().tools)
                self._has_session = True
