"""What a client judges by and where it comes from: a policy file, or a server's bundle kept up to date."""

import base64
import binascii
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from controlzero import policy
from controlzero.errors import ControlZeroError, Rejected, Tampered, Unavailable
from controlzero.guarding import Governed
from controlzero.masking import Masking
from controlzero.orders import Order, parse_orders
from controlzero.recorder.folders import OWNER_ONLY_FILE, OWNER_ONLY_FOLDER
from controlzero.recorder.link import IS_IT_UP, THREAD_PREFIX, BundleReply, HttpLink, SessionReply, jitter
from controlzero.records import Mode
from controlzero.session import Session
from controlzero.settings import LOCAL_PROJECT, MODES, Settings
from controlzero.vault import Vault

START_S_MAX = 2.0  # how long a client waits for its first bundle
START_RETRY_S = 0.1  # a gateway that starts beside its agent answers a moment later
CHANGE_WAIT_S = 25.0  # the gateway holds the question this long for a change; common proxies allow 30
CHANGE_PAUSE_S = 0.1  # after a change: one seldom comes alone, and none is to be missed for long
POLL_S = 10.0  # between questions, where a gateway or a proxy does not hold them or gives no answer
POLICY_SUFFIXES = (".json", ".yaml", ".yml")

log = logging.getLogger("controlzero.source")


class KeptBundle(Struct, frozen=True):
    """A bundle and what came with it, as it is kept on disk (0600: it holds the project's key)."""

    czpolicy: bytes
    signing_key: str
    mode: Mode | None = None
    etag: str | None = None
    project_key: str | None = None
    orders: tuple[Order, ...] = ()


class LocalSource:
    """A policy file's source: read once."""

    def __init__(self, settings: Settings) -> None:
        self.governed = local_governed(settings)

    def follow(self) -> None:
        """Nothing changes."""

    def stop(self) -> None:
        """Nothing runs."""


class ServedSource:
    """A server's bundle: fetched, kept on disk for a start without the server, and followed in the background."""

    governed: Governed

    def __init__(self, settings: Settings, link: HttpLink, *, vault: Vault | None = None, new_jitter: Callable[[], float] = jitter) -> None:
        self._settings = settings
        self._link = link
        self._vault = vault or Vault()
        self._new_jitter = new_jitter
        self._kept: KeptBundle | None = None
        self._bundle: object = None
        self._problem: ControlZeroError | None = None
        self._told = ""
        self._has_changed = False  # so the gateway is asked again at once, and holds that question
        self._is_stopped = False
        self._thread: threading.Thread | None = None
        self._renew()

    def start(self, *, wait_s: float = START_S_MAX) -> None:
        """Wait for the first bundle, fall back to the one kept on disk, else raise: `Unavailable`, or what is wrong."""
        import httpx  # noqa: F401 - what takes long to import is not to count as waiting for the gateway

        import controlzero.bundle  # noqa: F401

        fallback = self._read_kept()
        self.follow()
        (self._settled if fallback is None else self._tried).wait(wait_s)
        if fallback is not None and not isinstance(self._problem, Tampered):
            self._fall_back(fallback)
        if self._kept is None:
            self.stop()
            problem = self._problem or Unavailable(f"gateway {self._settings.base_url}: no answer within {wait_s:g} s; {IS_IT_UP}")
            raise problem.with_traceback(None) from None  # what the following thread went through helps nobody here

    def follow(self) -> None:
        """Follow the server in the background, if nothing does: at the start, and again in a forked child."""
        if self._thread is None and not self._is_stopped:
            self._thread = threading.Thread(target=self._run, name=f"{THREAD_PREFIX}bundle", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._is_stopped = True
        self._stopping.set()

    def forget(self) -> None:
        """Leave the thread and the connection to the parent: called in a forked child."""
        self._link.forget()
        self._renew()

    def _renew(self) -> None:
        self._thread = None
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self._settled = threading.Event()  # there is a bundle, or none can come
        self._tried = threading.Event()

    def _run(self) -> None:
        while not self._is_stopped:
            asked_at, before = time.monotonic(), self._kept
            try:
                self._ask()
                self._problem = None
            except Unavailable as error:
                self._note(error)
            except ControlZeroError as error:
                self._note(error)
                self._settled.set()
            if self._kept is not None:
                self._settled.set()
            self._tried.set()
            self._has_changed = self._kept is not None and (before is None or before.etag != self._kept.etag)
            self._stopping.wait(self._pause_s(time.monotonic() - asked_at))
        self._link.close()

    def _pause_s(self, took_s: float) -> float:
        if self._kept is None and isinstance(self._problem, Unavailable):
            return START_RETRY_S
        if self._has_changed:
            return CHANGE_PAUSE_S
        if self._problem is None and took_s > CHANGE_WAIT_S / 2:
            return 0.0
        asked_for = self._problem.retry_after_s or 0.0 if isinstance(self._problem, Unavailable) else 0.0
        return max(asked_for, POLL_S * (0.5 + self._new_jitter() / 2))

    def _ask(self) -> None:
        kept = self._kept
        reply = self._link.bundle(self._settings.project_id, etag=kept.etag if kept else None, wait_s=CHANGE_WAIT_S if kept else 0.0)
        if reply.status == 304 and kept is not None:
            if reply.mode in MODES and reply.mode != kept.mode:
                with self._taking:
                    self._take(structs.replace(kept, mode=reply.mode))
            return
        fresh = kept_of(reply, self._settings)
        with self._taking:
            self._take(fresh)
        self._write_kept(fresh)

    def _fall_back(self, kept: KeptBundle) -> None:
        with self._taking:
            if self._kept is not None:
                return
            try:
                self._take(kept)
            except ControlZeroError as error:
                log.error("The bundle kept on disk cannot be used: %s", error)
                return
        log.warning("The gateway gave no bundle (%s); judging by the one kept on disk until it does.", self._problem or "no answer yet")

    def _take(self, kept: KeptBundle) -> None:
        """Judge by another bundle from now on, if it is whole, signed and not an older one. The caller holds `_taking`."""
        from controlzero.bundle import Bundle, digest, newer, parse_keys, verify

        offered = verify(kept.czpolicy, parse_keys(kept.signing_key))
        current = self._bundle if isinstance(self._bundle, Bundle) else None
        bundle = newer(current, offered)
        masking = (
            self.governed.masking if self._kept and self._kept.project_key == kept.project_key else self._masking(kept, bundle.project_id)
        )
        self.governed = Governed(
            compiled=policy.compile(bundle.policies, reads=bundle.reads),
            masking=masking,
            project_id=bundle.project_id,
            mode=kept.mode or bundle.mode,
            bundle_digest=digest(bundle),
            expires_at=bundle.expires_at,
            on_stale=bundle.on_stale,
            on_unrecordable=bundle.on_unrecordable,
            orders=kept.orders,
        )
        self._bundle, self._kept = bundle, kept

    def _masking(self, kept: KeptBundle, project_id: str) -> Masking:
        if kept.project_key is None:
            return Masking(offline_key(self._settings.spool, project_id), self._vault)
        return Masking(base64.b64decode(kept.project_key), self._vault)

    def _note(self, error: ControlZeroError) -> None:
        self._problem = error
        if str(error) != self._told and self._kept is not None and not self._is_stopped:
            self._told = str(error)
            log.log(logging.WARNING if isinstance(error, Unavailable) else logging.ERROR, "Judging by the bundle at hand: %s", error)

    @property
    def _path(self) -> Path:
        asked = f"{self._settings.base_url}\n{self._settings.project_id or self._settings.api_key}"
        return self._settings.spool / "bundles" / hashlib.sha256(asked.encode()).hexdigest()[:32]

    def _read_kept(self) -> KeptBundle | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=KeptBundle)
        except (OSError, msgspec.DecodeError):
            return None

    def _write_kept(self, kept: KeptBundle) -> None:
        draft = self._path.with_suffix(f".{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
            draft.touch(mode=OWNER_ONLY_FILE)
            draft.write_bytes(msgspec.json.encode(kept))
            draft.replace(self._path)
        except OSError as error:
            log.warning("The bundle cannot be kept on disk, so a start without the gateway will fail: %s.", error)


def kept_of(reply: BundleReply, settings: Settings) -> KeptBundle:
    """Return the bundle a reply brings. Raises `Rejected` where asking again does not help, else `Unavailable`."""
    gateway, told = f"gateway {settings.base_url}", reply.detail
    if reply.status in (401, 403):
        raise Rejected(f"{gateway}: the API key was refused ({reply.status}): {told or 'make one with `cz keys create`'}")
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
    mode = reply.mode if reply.mode in MODES else None
    return KeptBundle(reply.czpolicy, reply.signing_key, mode, reply.etag, reply.project_key, orders)


def session_of(reply: SessionReply, settings: Settings) -> Session:
    """Return the session a reply brings. Raises `Rejected` where asking again does not help, else `Unavailable`."""
    gateway, told = f"gateway {settings.base_url}", reply.detail
    if reply.status in (401, 403):
        raise Rejected(f"{gateway}: the API key may not read the session ({reply.status}): {told or 'make another with `cz keys create`'}")
    if reply.session is None and reply.status == 200:
        raise Unavailable(f"{gateway}: the session is not what this SDK reads; update the older of the two")
    if reply.session is None:
        raise Unavailable(f"{gateway}: answered {reply.status} for the session: {told or IS_IT_UP}", retry_after_s=reply.retry_after_s)
    return reply.session


def local_governed(settings: Settings) -> Governed:
    """Return what a policy file says. Raises `PolicyError` with all its problems, `Rejected` where there is none."""
    path = policy_path(settings)
    parsed = policy.load(path)
    project_id = settings.project_id or LOCAL_PROJECT
    return Governed(
        compiled=policy.compile(parsed),
        masking=Masking(offline_key(settings.spool, project_id)),
        project_id=project_id,
        mode=settings.mode or "enforce",
        bundle_digest=policy.policy_digest([parsed]),
    )


def policy_path(settings: Settings) -> Path:
    """Return the policy file, in a folder the one named after the project. Raises `Rejected` where it is not there."""
    given = settings.policy_file or Path()
    if not given.is_dir():
        if given.is_file():
            return given
        raise Rejected(f"policy file `{given}`: there is none; expected a policy in JSON or YAML, or a folder with one per project")
    if settings.project_id is None:
        raise Rejected(f"policy folder `{given}`: which project? Expected CONTROLZERO_PROJECT_ID, whose policy is `<project id>.json`")
    for suffix in POLICY_SUFFIXES:
        path = given / f"{settings.project_id}{suffix}"
        if path.is_file() and path.parent == given:
            return path
    there = ", ".join(sorted(path.stem for path in given.iterdir() if path.suffix in POLICY_SUFFIXES)) or "none"
    raise Rejected(f"policy folder `{given}`: no `{settings.project_id}.json`; there is {there}")


def offline_key(spool: Path, project_id: str) -> bytes:
    """Return the project's key where no server gives one: from a 0600 file in the spool, else one for this process."""
    from controlzero.secrets_on_disk import master_key, project_key

    try:
        return project_key(master_key(spool), project_id)
    except OSError as error:
        log.warning("The key for masking cannot be kept on disk, so this run's masks compare with no other's: %s.", error)
        return secrets.token_bytes(32)


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
