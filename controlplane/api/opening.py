"""The control plane as a server has it: opened by the first request that needs it, and again where that failed."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from controlplane.service import ControlPlane
from controlzero.errors import ControlZeroError, Unavailable

AGAIN_AFTER_S = 1.0  # a database that is away is asked once a second, not once a request


class Opened:
    """One control plane for all requests. `open_plane` may block, and fail."""

    def __init__(
        self, open_plane: Callable[[], AbstractContextManager[ControlPlane]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_plane = open_plane
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._plane: ControlPlane | None = None
        self._failed: ControlZeroError | None = None
        self._failed_at_s = 0.0

    def plane(self) -> ControlPlane:
        """Return the control plane. Raises `Unavailable` where it cannot be opened now."""
        if self._plane is not None:
            return self._plane
        with self._lock:
            if self._plane is None:
                self._try()
            if self._plane is None:
                raise Unavailable(str(self._failed), retry_after_s=AGAIN_AFTER_S)
            return self._plane

    def _try(self) -> None:
        if self._failed is not None and self._monotonic() - self._failed_at_s < AGAIN_AFTER_S:
            return
        try:
            self._plane = self._open.enter_context(self._open_plane())
        except ControlZeroError as error:
            self._failed, self._failed_at_s = error, self._monotonic()

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._plane = None
            self._open.close()
