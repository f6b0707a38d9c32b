"""`cz bundle`: sign, verify and look at `.czpolicy` files, and rotate the key that signs a data folder's."""

import time
from pathlib import Path
from secrets import token_bytes
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter
from msgspec import Struct
from rich.text import Text

from controlplane.signing import decode_policies, policies_text
from controlplane.wording import counted, policy_text
from controlzero import policy as policy_language
from controlzero.bundle import Bundle, digest, is_expired, key_text, read, sign, signers, verify
from controlzero.errors import BundleRollbackError, Rejected, Tampered
from controlzero.policy import policy_digest
from controlzero.records import Mode
from controlzero.secrets_on_disk import key_file, key_list
from controlzero.trust import KeyList, parse_key_list, trusted_keys
from cz.display import console, done, facts, mode_text, print_json, short, source, time_text, warned
from cz.home import Home
from cz.opening import CHANGING, READING, Changing, Reading, control_plane
from cz.policy_files import read_policies

app = cyclopts.App(name="bundle", help="Bundles: policies signed into .czpolicy files, for agents that judge without a server.")

DAY_US = 86_400_000_000
BundleFile = Annotated[Path, Parameter(help="A .czpolicy file")]


class Signed(Struct, frozen=True, kw_only=True):
    """What is said of a bundle: what is in it, and who signed it."""

    file: str
    project_id: str
    version: int
    mode: Mode
    issued_at: int
    expires_at: int | None
    expired: bool
    on_stale: str
    on_unrecordable: str
    rules: int
    digest: str
    policy_digest: str
    signed_by: tuple[str, ...]
    bytes: int


@app.command(name="new-key")
def new_key(file: Annotated[Path, Parameter(help="Where to keep it, such as offline.key")], *, options: Reading = READING) -> None:
    """Make a key to sign with, for its owner alone (0600), and its public half beside it (.pub).

    Example:  cz bundle new-key offline.key
    """
    public = key_file(file, new_key=token_bytes).public_key().public_bytes_raw()
    beside = file.with_suffix(".pub")
    beside.write_text(key_text(public) + "\n")
    if options.json:
        print_json({"file": str(file), "public_file": str(beside), "public_key": key_text(public)})
        return
    done(f"{file}: a signing key, for you alone. {beside}: its public half, to verify with.")
    console.print(
        Text(f"  Agents that are to trust it from the start:  export CONTROLZERO_SIGNING_KEY={key_text(public)}", style="dim"),
        soft_wrap=True,
    )


@app.command(name="sign")
def sign_(
    files: Annotated[list[Path], Parameter(help="Policies in JSON or YAML, in their order", negative="")],
    /,
    *,
    project: Annotated[str, Parameter(name=["--project", "-p"], help="The project it is for")],
    key: Annotated[Path, Parameter(name=["--key", "-k"], help="The file of the key, from cz bundle new-key")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Where to write it, such as support-bot.czpolicy")],
    version: Annotated[int | None, Parameter(help="Its version. Default: one more than the file there is, else 1")] = None,
    mode: Annotated[Mode, Parameter(help="What a denial does")] = "enforce",
    days: Annotated[int | None, Parameter(help="After how many days it is past its age. Default: never")] = None,
    on_stale: Annotated[Literal["keep", "deny"], Parameter(help="What an agent does past its age")] = "keep",
    on_unrecordable: Annotated[Literal["go_on", "deny"], Parameter(help="What an agent does where it cannot record")] = "go_on",
    options: Reading = READING,
) -> None:
    """Sign policies into a bundle, without a server or a data folder; the public key is written beside it (.pub).

    Example:  cz bundle sign policy.json --project support-bot --key offline.key -o support-bot.czpolicy

    Example:  cz bundle sign base.yaml team.yaml -p support-bot -k offline.key -o support-bot.czpolicy --days 30 --on-stale deny
    """
    private = key_file(key)
    public = private.public_key().public_bytes_raw()
    policies = read_policies(files)
    before = read(output.read_bytes()).version if output.exists() else 0
    number = before + 1 if version is None else version
    if number <= before or number < 1:
        raise BundleRollbackError(
            f"{output}: version {before} is there, so the next is {before + 1} or more, not {number}: no agent takes an older one"
        )
    if days is not None and days < 1:
        raise Rejected(f"--days {days}: expected 1 or more")
    at = time.time_ns() // 1000
    bundle = Bundle(
        project_id=project,
        version=number,
        issued_at=at,
        expires_at=None if days is None else at + days * DAY_US,
        mode=mode,
        on_stale=on_stale,
        on_unrecordable=on_unrecordable,
        policies=decode_policies(policies_text(policies)),
        policy_digest=policy_digest(policies),
        reads=tuple(sorted(policy_language.compile(policies).reads)),
    )
    czpolicy = sign(bundle, private)
    output.write_bytes(czpolicy)
    output.with_suffix(".pub").write_text(key_text(public) + "\n")
    if options.json:
        print_json(_said(output, czpolicy, bundle))
        return
    done(f"{output}: project {project}, version {number}, {mode}, {len(czpolicy):,} bytes.", next_step=f"cz bundle verify {output}")


@app.command(name="verify")
def verify_(
    file: BundleFile,
    *,
    keys: Annotated[Path | None, Parameter(help="Public keys to trust. Default: the .pub beside it, else the data folder's")] = None,
    project: Annotated[str | None, Parameter(name=["--project", "-p"], help="Whose it has to be")] = None,
    options: Reading = READING,
) -> None:
    """Verify a bundle: its bytes, its signature, its project; and tell version, age and key. Exit code 1 where it must not be taken.

    Example:  cz bundle verify support-bot.czpolicy

    Example:  cz bundle verify support-bot.czpolicy --keys release.pub --project support-bot --json
    """
    czpolicy = _bytes_of(file)
    place, listed = _keys_for(file, keys, options)
    bundle = verify(czpolicy, trusted_keys({}, listed))
    if project is not None and bundle.project_id != project:
        raise Tampered(f"{file}: it is for project `{bundle.project_id}`, expected `{project}`")
    said = _said(file, czpolicy, bundle)
    if options.json:
        print_json(said)
        return
    done(f"{file}: whole, and signed by {', '.join(said.signed_by)} ({place}).")
    console.print(_shown(said))
    if said.expired:
        warned(
            f"It is past its age since {time_text(said.expires_at)}: agents then {'deny' if said.on_stale == 'deny' else 'go on and record it'}."
        )


@app.command
def show(file: BundleFile, *, options: Reading = READING) -> None:
    """Show what a bundle says, whoever signed it: to look at. `cz bundle verify` tells whether to believe it.

    Example:  cz bundle show support-bot.czpolicy
    """
    czpolicy = _bytes_of(file)
    bundle = read(czpolicy)
    if options.json:
        print_json({"bundle": _said(file, czpolicy, bundle), "policies": bundle.policies, "reads": bundle.reads})
        return
    console.print(_shown(_said(file, czpolicy, bundle)))
    source(policy_text(bundle.policies), "yaml")


@app.command(name="rotate-key")
def rotate_key(*, options: Changing = CHANGING) -> None:
    """Sign with a new key from now on. The old one endorses it and is deleted; every project's bundle is signed anew.

    Agents follow by themselves, however long they were away. Files exported before stay valid until a newer one is taken.

    Example:  cz bundle rotate-key --why "every year"
    """
    with control_plane(options) as plane:
        rotated = plane.rotate_signing_key(actor=options.actor, why=options.why)
    if options.json:
        print_json(rotated)
        return
    signed = f"{counted(len(rotated.projects), 'project')} signed anew" if rotated.projects else "no project has a policy yet"
    done(f"Key {rotated.key_id} signs from now on, endorsed by {rotated.old_key_id}, which is deleted: {signed}.")


def _said(file: Path, czpolicy: bytes, bundle: Bundle) -> Signed:
    return Signed(
        file=str(file),
        project_id=bundle.project_id,
        version=bundle.version,
        mode=bundle.mode,
        issued_at=bundle.issued_at,
        expires_at=bundle.expires_at,
        expired=is_expired(bundle, at=time.time_ns() // 1000),
        on_stale=bundle.on_stale,
        on_unrecordable=bundle.on_unrecordable,
        rules=sum(len(policy.get("rules", ())) for policy in bundle.policies),
        digest=digest(bundle),
        policy_digest=bundle.policy_digest,
        signed_by=signers(czpolicy),
        bytes=len(czpolicy),
    )


def _shown(said: Signed) -> object:
    age = "never" if said.expires_at is None else f"{time_text(said.expires_at)}{', past it' if said.expired else ''}; then {said.on_stale}"
    return facts(
        said.file,
        [
            ("project", said.project_id),
            ("version", "candidate: never in force" if said.version == 0 else str(said.version)),
            ("mode", mode_text(said.mode)),
            ("signed", time_text(said.issued_at)),
            ("past its age", age),
            ("where nothing can be recorded", said.on_unrecordable),
            ("rules", f"{said.rules}, policy {short(said.policy_digest)}"),
            ("bundle", said.digest),
            ("signed by", ", ".join(said.signed_by) or "nobody"),
        ],
    )


def _keys_for(file: Path, keys: Path | None, options: Reading) -> tuple[str, KeyList]:
    """Return where the public keys to verify with come from, and them."""
    beside = file.with_suffix(".pub")
    if keys is not None or beside.is_file():
        place = keys or beside
        return str(place), parse_key_list(_bytes_of(place).decode("ascii", "replace"))
    home = Home.named(options.home).path
    listed = key_list(home)
    if not listed.keys:
        raise Rejected(f"{file}: no public key to verify it with; say --keys FILE, or put {beside.name} beside it")
    return f"{home}/keys/signing.pub", listed


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as unread:
        raise Rejected(f"{file}: cannot be read ({unread.strerror})") from unread
