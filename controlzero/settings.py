"""What a client is configured with: arguments first, then the environment; every problem at once."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct, structs

from controlzero.brokers import Brokers, read_brokers
from controlzero.errors import Rejected
from controlzero.recorder.folders import temporary_root
from controlzero.recorder.spool import SPOOL_BYTES_MAX
from controlzero.records import PROJECT_NAME, Mode

BASE_URL = "http://127.0.0.1:8700"
SPOOL = "~/.controlzero/spool"
LOCAL_PROJECT = "default"
MODES: tuple[Mode, ...] = get_args(Mode)
Delivery = Literal["http", "kafka"]
DELIVERIES: tuple[Delivery, ...] = get_args(Delivery)
KEY_CHARS_SHOWN = len("cz_live_") + 4  # what people may see of a key
SPOOL_BYTES_MIN = 1024 * 1024  # below, a burst of an agent fills it
_KEY = re.compile(r"[!-~]+")  # what a header can carry


class Settings(Struct, frozen=True, kw_only=True):
    """One client's settings. With `policy_file` it judges by that and asks nobody; else `api_key` is there."""

    api_key: str | None = None
    base_url: str = BASE_URL
    project_id: str | None = None
    policy_file: Path | None = None
    mode: Mode | None = None  # counts without a server only
    agent_id: str | None = None
    environment: str | None = None
    delivery: Delivery = "http"
    brokers: Brokers | None = None  # where `delivery` is `kafka`
    spool: Path = Path(SPOOL)
    spool_bytes_max: int = SPOOL_BYTES_MAX
    signing_key: str | None = None  # lines of `<key id>:<base64>`: the keys to trust before the first bundle
    bundle_file: Path | None = None  # until the server answers
    bundle_refresh_s: int | None = None  # the server is asked at least so often; a change comes sooner where it holds the question
    bundle_age_s_max: int | None = None  # since the server last confirmed it; the bundle's own age counts in any case
    prices: Path | None = None  # prices of models that come before the shipped ones

    def __repr__(self) -> str:
        shown = structs.asdict(self) | {"api_key": self.api_key and f"{self.api_key[:KEY_CHARS_SHOWN]}…"}  # the rest is a secret
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def read_settings(environ: Mapping[str, str] | None = None, /, **given: object) -> Settings:
    """Return the settings that `given` arguments and the environment (CONTROLZERO_*, KAFKA_*) make. Raises `Rejected`.

    A policy file means no server, unless an API key and a base URL are configured too and no file was given
    as an argument.
    """
    environ = os.environ if environ is None else environ

    def value(name: str) -> object:
        said = given.get(name)
        return said if said is not None else environ.get(f"CONTROLZERO_{name.upper()}") or None

    problems: list[str] = []
    api_key, base_url, policy_file = value("api_key"), value("base_url"), value("policy_file")
    has_server = api_key is not None and base_url is not None
    if policy_file is not None and given.get("policy_file") is None and has_server:
        policy_file = None
    if policy_file is None and api_key is None:
        problems.append(
            "nothing to judge by: expected an API key (argument `api_key` or CONTROLZERO_API_KEY; `cz up` prints one) or a policy "
            "(argument `policy_file` or CONTROLZERO_POLICY_FILE)"
        )
    if api_key is not None and not _KEY.fullmatch(str(api_key)):  # never shown, and no error of the connection may show it either
        problems.append(
            "API key (argument `api_key` or CONTROLZERO_API_KEY): holds a space, a line break or another character that no key has; "
            "expected it as `cz keys create` printed it"
        )
    mode = value("mode")
    if mode is not None and mode not in MODES:
        problems.append(f"mode `{mode}` (argument `mode` or CONTROLZERO_MODE): expected one of {', '.join(MODES)}")
    if base_url is not None and not str(base_url).startswith(("http://", "https://")):
        problems.append(f"base URL `{base_url}` (argument `base_url` or CONTROLZERO_BASE_URL): expected http:// or https://")
    delivery, project_id = value("delivery") or "http", _text(value("project_id"))
    brokers = _brokers(environ, None if policy_file is None else project_id or "", problems) if delivery == "kafka" else None
    if delivery not in DELIVERIES:
        problems.append(f"delivery `{delivery}` (argument `delivery` or CONTROLZERO_DELIVERY): expected one of {', '.join(DELIVERIES)}")
    spool_bytes_max = _bytes(value("spool_bytes_max"), problems)
    bundle_refresh_s = _seconds("bundle_refresh_s", value("bundle_refresh_s"), problems)
    bundle_age_s_max = _seconds("bundle_age_s_max", value("bundle_age_s_max"), problems)
    bundle_file = value("bundle_file")
    prices_file = _prices(value("prices"), problems)
    if problems:
        raise Rejected("Client: " + "; ".join(problems))
    return Settings(
        api_key=None if api_key is None or policy_file is not None else str(api_key),
        base_url=str(base_url or BASE_URL).rstrip("/"),
        project_id=project_id,
        policy_file=None if policy_file is None else Path(str(policy_file)).expanduser(),
        mode=mode,  # type: ignore[arg-type]  # one of MODES
        agent_id=_text(value("agent_id")),
        environment=_text(value("environment")),
        delivery=delivery,  # type: ignore[arg-type]  # one of DELIVERIES
        brokers=brokers,
        spool=_folder(str(value("spool") or SPOOL)),
        spool_bytes_max=spool_bytes_max,
        signing_key=_text(value("signing_key")),
        bundle_file=None if bundle_file is None else Path(str(bundle_file)).expanduser(),
        bundle_refresh_s=bundle_refresh_s,
        bundle_age_s_max=bundle_age_s_max,
        prices=prices_file,
    )


def _brokers(environ: Mapping[str, str], local_project: str | None, problems: list[str]) -> Brokers | None:
    """Return the brokers to deliver to. With a policy file nobody but the settings says for which project (`local_project`)."""
    if find_spec("confluent_kafka") is None:
        problems.append("delivery `kafka`: Kafka's client is not installed; pip install 'controlzero-audit[kafka]'")
    if local_project is not None and not PROJECT_NAME.fullmatch(local_project):
        problems.append(
            f"delivery `kafka` with a policy file, for project `{local_project}` (argument `project_id` or CONTROLZERO_PROJECT_ID): "
            "expected the project's name, of 1 to 128 letters, digits, `.`, `_` or `-`"
        )
    return read_brokers(environ, problems)


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # a container's user may have no home
        return temporary_root()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _bytes(value: object, problems: list[str]) -> int:
    if value is None:
        return SPOOL_BYTES_MAX
    text = str(value)
    if text.isdecimal() and int(text) >= SPOOL_BYTES_MIN:
        return int(text)
    problems.append(
        f"spool limit `{text}` (argument `spool_bytes_max` or CONTROLZERO_SPOOL_BYTES_MAX): expected {SPOOL_BYTES_MIN:,} bytes or more"
    )
    return SPOOL_BYTES_MAX


def _seconds(name: str, value: object, problems: list[str]) -> int | None:
    if value is None:
        return None
    text = str(value)
    if text.isdecimal() and int(text) > 0:
        return int(text)
    problems.append(f"`{text}` (argument `{name}` or CONTROLZERO_{name.upper()}): expected whole seconds, 1 or more")
    return None


def _prices(value: object, problems: list[str]) -> Path | None:
    """Return the file of prices once it is known to be one: what it says wrong must not be found out at the first outcome."""
    if value is None:
        return None
    from controlzero.integrations.prices import prices

    file = Path(str(value)).expanduser()
    try:
        prices(file)
    except Rejected as refused:
        problems.append(f"{refused} (argument `prices` or CONTROLZERO_PRICES)")
    return file
