"""A server's bundle: what a client judges by, fetched, kept on disk, and followed in the background."""

import base64
import binascii
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from controlzero.errors import (
    BundleRollbackError,
    BundleTamperError,
    ControlZeroError,
    Rejected,
    Tampered,
    Unavailable,
)
from controlzero.guarding import Governed
from controlzero.masking import Masking
from controlzero.orders import parse_orders
from controlzero.policy_file import check_is_verifiable, governed_by, offline_key, read_bundle_file
from controlzero.recorder.link import IS_IT_UP, THREAD_PREFIX, BundleReply, HttpLink, SessionReply, jitter
from controlzero.records import BundleState
from controlzero.session import Session
from controlzero.settings import Settings
from controlzero.vault import Vault

if TYPE_CHECKING:
    from controlzero.bundle import Bundle
    from controlzero.kept import KeptBundle
    from controlzero.trust import Trust

START_S_MAX = 2.0  # how long a client waits for its first bundle
START_RETRY_S = 0.1  # a gateway that starts beside its agent answers a moment later
CHANGE_WAIT_S = 25.0  # the gateway holds the question this long for a change; common proxies allow 30
CHANGE_PAUSE_S = 0.1  # after a change: one seldom comes alone, and none is to be missed for long
UNCONFIRMED_S_MAX = 60.0  # without an answer, from when on decisions say so: a gateway that starts again takes less
POLL_S = 10.0  # between questions, where a gateway or a proxy does not hold them or gives no answer

log = logging.getLogger("controlzero.source")


class ServedSource:
    """A server's bundle: fetched, kept on disk for a start without the server, and followed in the background."""

    governed: Governed

    def __init__(
        self,
        settings: Settings,
        link: HttpLink,
        *,
        clock: Callable[[], int],
        vault: Vault | None = None,
        new_jitter: Callable[[], float] = jitter,
    ) -> None:
        self._settings = settings
        self._link = link
        self._clock = clock
        self._vault = vault or Vault()
        self._new_jitter = new_jitter
        self._kept: KeptBundle | None = None
        self._trust: Trust | None = None
        self._signed_until: int | None = None
        self._problem: ControlZeroError | None = None
        self._told = ""
        self._has_changed = False  # so the gateway is asked again at once, and holds that question
        self._change_wait_s = min(CHANGE_WAIT_S, settings.bundle_refresh_s or CHANGE_WAIT_S)
        self._is_stopped = False
        self._thread: threading.Thread | None = None
        self._renew()

    def start(self, *, wait_s: float = START_S_MAX) -> None:
        """Begin with the bundle's file where there is one; else wait for the first bundle, fall back to the one kept on disk, else raise.

        What it raises is `Unavailable`, or what is wrong.
        """
        import httpx  # noqa: F401 - what takes long to import is not to count as waiting for the gateway

        import controlzero.bundle  # noqa: F401

        fallback = self._read_kept()
        self._recall(fallback)
        if self._settings.bundle_file is not None and self._has_begun_with(self._settings.bundle_file, fallback):
            self.follow()
            return
        self.follow()
        (self._settled if fallback is None else self._tried).wait(wait_s)
        if fallback is not None:
            self._fall_back(*fallback)
        if self._kept is None:
            self.stop()
            problem = self._problem or Unavailable(f"gateway {self._settings.base_url}: no answer within {wait_s:g} s; {IS_IT_UP}")
            raise problem.with_traceback(None) from None  # what the following thread went through helps nobody here

    def refresh(self) -> None:
        """Ask the server now. Raises `Unavailable`, `Rejected`, or `Tampered` for a bundle that must not be taken."""
        try:
            self._ask(wait_s=0.0)
        except ControlZeroError as error:
            self._note(error)
            if not isinstance(error, Unavailable):
                self._mark(_state_after(error))
            raise

    def take_file(self, path: Path) -> None:
        """Judge by a file's bundle until the server gives another. Raises `Rejected` where there is none, or `Tampered`."""
        self._begin_with(read_bundle_file(path), confirmed_at=self._clock(), like=self._kept)

    def follow(self) -> None:
        """Follow the server in the background, if nothing does: at the start, and again in a forked child."""
        if self._thread is None and not self._is_stopped:
            self._thread = threading.Thread(target=self._run, name=f"{THREAD_PREFIX}bundle", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop following: whatever is judged from now on, no server confirms it."""
        self._is_stopped = True
        self._stopping.set()
        self._mark_left()

    def forget(self) -> None:
        """Leave the thread and the connection to the parent: called in a forked child."""
        self._link.forget()
        self._renew()

    def _renew(self) -> None:
        self._thread = None
        self._keeping = threading.Lock()  # until what was taken is on disk: who is told that it is in force finds it there
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self._settled = threading.Event()  # there is a bundle, or none can come
        self._tried = threading.Event()

    def _run(self) -> None:
        answered_at = time.monotonic()
        while not self._is_stopped:
            asked_at, before = time.monotonic(), self._standing
            try:
                self._ask()
                self._problem = None
                answered_at = time.monotonic()
            except Exception as error:  # noqa: BLE001 - the thread's edge: ended, no bundle and no order would come any more
                problem = error if isinstance(error, ControlZeroError) else self._unforeseen(error)
                self._note(problem)
                is_away = isinstance(problem, Unavailable)
                if not is_away:
                    self._settled.set()
                if not is_away or time.monotonic() - answered_at > UNCONFIRMED_S_MAX:
                    self._mark(_state_after(problem))
            if self._kept is not None:
                self._settled.set()
            self._tried.set()
            self._has_changed = self._kept is not None and before != self._standing
            self._stopping.wait(self._pause_s(time.monotonic() - asked_at))
        self._mark_left()  # an answer may have come after `stop`
        self._link.close()

    @property
    def _standing(self) -> tuple[str | None, BundleState | None] | None:
        """What is judged by, and how things stand with it."""
        return None if self._kept is None else (self._kept.etag, self.governed.bundle_state)

    def _pause_s(self, took_s: float) -> float:
        if self._kept is None and isinstance(self._problem, Unavailable):
            return START_RETRY_S
        if self._has_changed:
            return CHANGE_PAUSE_S
        if self._problem is None and took_s > self._change_wait_s / 2:
            return 0.0
        asked_for = self._problem.retry_after_s or 0.0 if isinstance(self._problem, Unavailable) else 0.0
        return max(asked_for, min(POLL_S, self._change_wait_s) * (0.5 + self._new_jitter() / 2))

    def _ask(self, *, wait_s: float | None = None) -> None:
        kept = self._kept
        if wait_s is None:  # what is not confirmed is asked about at once, and not only after the next change
            wait_s = 0.0 if kept is None or self.governed.bundle_state is not None else self._change_wait_s
        reply = self._link.bundle(self._settings.project_id, etag=kept.etag if kept else None, wait_s=wait_s)
        at = self._clock()
        with self._keeping:
            if reply.status == 304 and kept is not None:
                self._confirm(at)
                return
            fresh = kept_of(reply, self._settings)
            with self._taking:
                trust = self._take(fresh, confirmed_at=at)
            self._keep(fresh, trust, at=at)

    def _has_begun_with(self, path: Path, fallback: "tuple[KeptBundle, int] | None") -> bool:
        """Judge by a file's bundle until the server answers; return False where the server's is newer, or nothing can verify the file's."""
        try:
            found = read_bundle_file(path)
            check_is_verifiable(found, path, is_trusting=bool(self._trust or self._settings.signing_key))
            self._begin_with(found, confirmed_at=path.stat().st_mtime_ns // 1000, like=fallback[0] if fallback else None)
        except (Rejected, OSError, BundleRollbackError) as error:
            log.warning("The bundle's file is left aside: %s", error)
            return False
        return True

    def _begin_with(self, found: "KeptBundle", *, confirmed_at: int, like: "KeptBundle | None") -> None:
        """Take a file's bundle; the project's key and the orders in force stay as they were known."""
        if like is not None:
            found = structs.replace(found, project_key=like.project_key, orders=like.orders)
        with self._taking:
            trust = self._take(found, confirmed_at=confirmed_at)
        self._mark("unconfirmed")
        self._keep(None, trust, at=confirmed_at)

    def _fall_back(self, kept: "KeptBundle", confirmed_at: int) -> None:
        with self._taking:
            if self._kept is not None:
                return
            try:
                self._take(kept, confirmed_at=confirmed_at)
            except ControlZeroError as error:
                log.error("The bundle kept on disk cannot be used: %s", error)
                self._problem = error if self._problem is None or isinstance(error, Tampered) else self._problem
                return
        self._mark(_state_after(self._problem))
        level = logging.ERROR if isinstance(self._problem, Tampered) else logging.WARNING
        told = self._problem or "no answer yet"
        log.log(level, "The gateway gave no bundle to take (%s); judging by the one kept on disk until it does.", told)

    def _take(self, kept: "KeptBundle", *, confirmed_at: int) -> "Trust":
        """Judge by another bundle from now on, if it may be taken. The caller holds `_taking`."""
        bundle, trust = self._admitted(kept)
        masking = (
            self.governed.masking if self._kept and self._kept.project_key == kept.project_key else self._masking(kept, bundle.project_id)
        )
        expires_at = _expires_at(bundle.expires_at, confirmed_at, self._settings)
        self.governed = governed_by(bundle, masking, expires_at=expires_at, orders=kept.orders)
        self._trust, self._kept, self._signed_until = trust, kept, bundle.expires_at
        return trust

    def _admitted(self, kept: "KeptBundle") -> "tuple[Bundle, Trust]":
        from controlzero.trust import admit, parse_key_list

        configured = parse_key_list(self._settings.signing_key or "").keys
        offered = parse_key_list(kept.signing_key)
        return admit(kept.czpolicy, offered, self._trust, configured=configured, project_id=self._settings.project_id)

    def _confirm(self, at: int) -> None:
        """The server says that the bundle at hand is in force."""
        from controlzero import kept

        self._mark(None)
        settings = self._settings
        if settings.bundle_age_s_max is not None:
            with self._taking:
                self.governed = structs.replace(self.governed, expires_at=_expires_at(self._signed_until, at, settings))
            try:
                kept.confirm(settings.spool, kept.name_of(settings), at=at)
            except OSError as error:
                log.warning("The bundle kept on disk cannot be dated, so a start without the gateway takes it for older: %s.", error)

    def _mark(self, state: BundleState | None) -> None:
        """Have each decision from now on say how things stand with the bundle that judges it."""
        with self._taking:
            if self._kept is not None and self.governed.bundle_state != state:
                self.governed = structs.replace(self.governed, bundle_state=state)

    def _mark_left(self) -> None:
        if self._kept is not None and self.governed.bundle_state is None:
            self._mark("unconfirmed")

    def _masking(self, kept: "KeptBundle", project_id: str) -> Masking:
        if kept.project_key is None:
            return Masking(offline_key(self._settings.spool, project_id), self._vault)
        return Masking(base64.b64decode(kept.project_key), self._vault)

    def _unforeseen(self, error: Exception) -> Unavailable:
        return Unavailable(f"gateway {self._settings.base_url}: its answer could not be used, for a reason unforeseen: {error!r}")

    def _note(self, error: ControlZeroError) -> None:
        self._problem = error
        if str(error) != self._told and self._kept is not None and not self._is_stopped:
            self._told = str(error)
            log.log(logging.WARNING if isinstance(error, Unavailable) else logging.ERROR, "Judging by the bundle at hand: %s", error)

    def _recall(self, fallback: "tuple[KeptBundle, int] | None") -> None:
        """Know again what was trusted: from its own file, else from the bundle kept. Raises `BundleTamperError` for a changed file."""
        from controlzero import kept

        try:
            self._trust = kept.read_trust(self._settings.spool, kept.name_of(self._settings))
        except OSError as error:
            log.warning("What bundles were taken before cannot be read, so an older one could pass for newer: %s.", error)
        if self._trust is None and fallback is not None:
            with suppress(ControlZeroError):  # it is told once the bundle is fallen back on
                _, self._trust = self._admitted(fallback[0])

    def _read_kept(self) -> "tuple[KeptBundle, int] | None":
        from controlzero import kept

        return kept.read_bundle(self._settings.spool, kept.name_of(self._settings))

    def _keep(self, fresh: "KeptBundle | None", trust: "Trust", *, at: int) -> None:
        from controlzero import kept

        try:
            kept.keep(self._settings.spool, kept.name_of(self._settings), fresh, trust, at=at)
        except OSError as error:
            log.warning("The bundle cannot be kept on disk, so a start without the gateway will fail: %s.", error)


def kept_of(reply: BundleReply, settings: Settings) -> "KeptBundle":
    """Return the bundle a reply brings. Raises `Rejected` where asking again does not help, else `Unavailable`."""
    from controlzero.kept import KeptBundle

    gateway, told = f"gateway {settings.base_url}", reply.detail
    if reply.status in (401, 403):
        raise Rejected(f"{gateway}: the API key was refused ({reply.status}): {told or 'make one with `cz keys create`'}")
    if reply.status == 422:
        raise Rejected(
            f"{gateway}: it cannot tell which bundle is meant ({reply.status}): {told or 'name the project in CONTROLZERO_PROJECT_ID'}"
        )
    if reply.status == 404:
        raise Unavailable(f"{gateway}: no bundle yet: {told or 'give the project a policy with `cz policy apply`'}")
    if reply.status != 200:
        raise Unavailable(f"{gateway}: answered {reply.status} for the bundle: {told or IS_IT_UP}", retry_after_s=reply.retry_after_s)
    if reply.signing_key is None:
        raise Unavailable(f"{gateway}: the bundle came without the key to verify it (CZ-Signing-Key); {IS_IT_UP}")
    if reply.project_key is not None and not _is_base64(reply.project_key):
        raise Unavailable(f"{gateway}: the project's key (CZ-Project-Key) is not base64")
    try:
        orders = parse_orders(reply.orders)
    except Rejected as error:
        raise Unavailable(f"{gateway}: {error}") from error
    keys = ", ".join(filter(None, (reply.signing_key, reply.endorsements)))
    return KeptBundle(reply.czpolicy, keys, reply.etag, reply.project_key, orders)


def _state_after(problem: ControlZeroError | None) -> BundleState:
    """Return how things stand with the bundle at hand, after what was wrong with the one offered."""
    if isinstance(problem, BundleRollbackError):
        return "rollback_refused"
    if isinstance(problem, BundleTamperError):
        return "tampering_refused"
    return "signature_refused" if isinstance(problem, Tampered) else "unconfirmed"


def _expires_at(signed_until: int | None, confirmed_at: int, settings: Settings) -> int | None:
    """Return when a bundle is past its age: by its own word, or so long after the server last confirmed it."""
    if settings.bundle_age_s_max is None:
        return signed_until
    until = confirmed_at + settings.bundle_age_s_max * 1_000_000
    return until if signed_until is None else min(until, signed_until)


def session_of(reply: SessionReply, settings: Settings, *, with_secrets: bool) -> Session:
    """Return the session a reply brings. Raises `Rejected` where asking again does not help, else `Unavailable`."""
    gateway, told = f"gateway {settings.base_url}", reply.detail
    if reply.status in (401, 403):
        raise Rejected(f"{gateway}: the API key may not read the session ({reply.status}): {told or 'make another with `cz keys create`'}")
    if with_secrets and not reply.may_read_secrets:
        raise Rejected(f"{gateway}: the API key may not read secrets; expected one with the scope `secrets:read`")
    if reply.session is None and reply.status == 200:
        raise Unavailable(f"{gateway}: the session is not what this SDK reads; update the older of the two")
    if reply.session is None:
        raise Unavailable(f"{gateway}: answered {reply.status} for the session: {told or IS_IT_UP}", retry_after_s=reply.retry_after_s)
    return reply.session


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
