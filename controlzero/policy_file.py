"""What a client judges by without a server: a policy's file, or a signed bundle's; and what both kinds of source share."""

import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from controlzero import policy
from controlzero.errors import BundleVerificationError, Rejected
from controlzero.guarding import Governed
from controlzero.masking import Masking
from controlzero.orders import Order
from controlzero.settings import LOCAL_PROJECT, Settings

if TYPE_CHECKING:
    from controlzero.bundle import Bundle
    from controlzero.kept import KeptBundle

BUNDLE_SUFFIX = ".czpolicy"
POLICY_SUFFIXES = (".json", ".yaml", ".yml", BUNDLE_SUFFIX)

log = logging.getLogger("controlzero.source")


class LocalSource:
    """A policy file's source: read at the start, and when it is told to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.governed = local_governed(settings)

    def refresh(self) -> None:
        """Read the file again. Raises as `local_governed` does, and goes on as before then."""
        self.governed = local_governed(self._settings)

    def take_file(self, path: Path) -> None:
        """Judge by a bundle's file from now on. Raises as `governed_by_file` does, and goes on as before then."""
        self.governed = governed_by_file(path, self._settings)

    def follow(self) -> None:
        """Nothing changes by itself."""

    def stop(self) -> None:
        """Nothing runs."""


def local_governed(settings: Settings) -> Governed:
    """Return what a policy file says, or a bundle. Raises `PolicyError` with all its problems, `Rejected` where there is none, `Tampered`."""
    path = policy_path(settings)
    if path.suffix == BUNDLE_SUFFIX:
        return governed_by_file(path, settings)
    parsed = policy.load(path)
    project_id = settings.project_id or LOCAL_PROJECT
    return Governed(
        compiled=policy.compile(parsed),
        masking=Masking(offline_key(settings.spool, project_id)),
        project_id=project_id,
        mode=settings.mode or "enforce",
        bundle_digest=policy.policy_digest([parsed]),
    )


def governed_by_file(path: Path, settings: Settings) -> Governed:
    """Return what the bundle in a file says, if it may be taken after the last one. Raises `Rejected`, `Tampered`.

    The keys to verify it with are those of the bundle before, those configured, else, at first use, those of the `.pub` file beside it.
    """
    from controlzero import kept
    from controlzero.trust import admit, parse_key_list

    name, found = kept.name_of(settings), read_bundle_file(path)
    trust = None
    try:
        trust = kept.read_trust(settings.spool, name)
    except OSError as error:
        log.warning("What bundles were taken before cannot be read, so an older file could pass for newer: %s.", error)
    configured = parse_key_list(settings.signing_key or "").keys
    check_is_verifiable(found, path, is_trusting=bool(configured or trust))
    offered = parse_key_list(found.signing_key)
    bundle, trust = admit(found.czpolicy, offered, trust, configured=configured, project_id=settings.project_id)
    try:
        kept.keep(settings.spool, name, None, trust, at=0)
    except OSError as error:
        log.warning("The bundle's version cannot be kept on disk, so an older file could pass for newer after this run: %s.", error)
    return governed_by(bundle, Masking(offline_key(settings.spool, bundle.project_id)), expires_at=bundle.expires_at)


def read_bundle_file(path: Path) -> "KeptBundle":
    """Return a file's bundle and the keys in the `.pub` file beside it, neither checked yet. Raises `Rejected` where it cannot be read."""
    from controlzero.bundle import CZPOLICY_BYTES_MAX
    from controlzero.kept import KeptBundle

    beside = path.with_suffix(".pub")
    try:
        with path.open("rb") as file:
            czpolicy = file.read(CZPOLICY_BYTES_MAX + 1)
        return KeptBundle(czpolicy, beside.read_text() if beside.is_file() else "")
    except OSError as error:
        raise Rejected(f"bundle `{path}`: cannot be read: {error.strerror}; expected a file from `cz policy export`") from error


def check_is_verifiable(found: "KeptBundle", path: Path, *, is_trusting: bool) -> None:
    """Raise `BundleVerificationError` where no key is known at all: the way out is another than for a wrong key."""
    if not is_trusting and not found.signing_key.strip():
        raise BundleVerificationError(
            f"bundle `{path}`: no key to verify it with; put its `{path.with_suffix('.pub').name}` beside it, or set CONTROLZERO_SIGNING_KEY "
            "to the line of `signing.pub`"
        )


def governed_by(bundle: "Bundle", masking: Masking, *, expires_at: int | None, orders: tuple[Order, ...] = ()) -> Governed:
    """Return what judging by a bundle takes."""
    from controlzero.bundle import digest

    return Governed(
        compiled=policy.compile(bundle.policies, reads=bundle.reads),
        masking=masking,
        project_id=bundle.project_id,
        mode=bundle.mode,
        bundle_digest=digest(bundle),
        expires_at=expires_at,
        on_stale=bundle.on_stale,
        on_unrecordable=bundle.on_unrecordable,
        orders=orders,
    )


def policy_path(settings: Settings) -> Path:
    """Return the policy file, in a folder the one named after the project. Raises `Rejected` where it is not there."""
    given = settings.policy_file or Path()
    if not given.is_dir():
        if given.is_file():
            return given
        raise Rejected(
            f"policy file `{given}`: there is none; expected a policy in JSON or YAML, a .czpolicy bundle, or a folder with one per project"
        )
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
