"""What a client of the hosted SDK's names is configured with: arguments first, then the environment; every problem at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from controlzero.errors import Rejected
from controlzero.policy_file import BUNDLE_SUFFIX
from controlzero.settings import Settings, read_settings

PolicyMode = Literal["cloud", "local", "hybrid"]

HOSTED_URL = "https://api.controlzero.ai"  # the documented default. It stands for this product's own address and is never contacted
AGENT_NAME = "default-agent"
KEY_PREFIXES = ("cz_live_", "cz_test_")
FILES = ("POLICY_FILE", "BUNDLE_FILE")  # what `policy_mode` and `policy_path` say, the environment does not
POLICY_MODES: tuple[PolicyMode, ...] = get_args(PolicyMode)
INHERITED = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")  # by the process of an MCP server, and no more


class Options(Struct, frozen=True, kw_only=True):
    """One client's options; `settings` are those of the client beneath it."""

    settings: Settings
    policy_mode: PolicyMode
    is_governed: bool
    inherited: Mapping[str, str]


def read_options(
    environ: Mapping[str, str] | None = None,
    /,
    *,
    api_key: object,
    agent_name: str | None,
    base_url: str | None,
    enable_governance: bool,
    policy_mode: str,
    policy_path: str | Path | None,
    refresh_interval_seconds: int,
    max_cache_age_seconds: int,
) -> Options:
    """Return the options that arguments and the environment (CZ_AGENT_NAME, CONTROLZERO_*) make. Raises ValueError."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    if not isinstance(api_key, str) or not api_key.startswith(KEY_PREFIXES):
        problems.append("api_key: expected a key that starts with cz_live_ or cz_test_; `cz keys create` makes one")
    if policy_mode not in POLICY_MODES:
        problems.append(f"policy_mode `{policy_mode}`: expected one of {', '.join(POLICY_MODES)}")
    if policy_mode in ("local", "hybrid") and (policy_path is None or Path(policy_path).suffix != BUNDLE_SUFFIX):
        problems.append(f'policy_path: expected the path of a .czpolicy file, which policy_mode="{policy_mode}" loads')
    for name, seconds in (("refresh_interval_seconds", refresh_interval_seconds), ("max_cache_age_seconds", max_cache_age_seconds)):
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
            problems.append(f"{name} `{seconds}`: expected whole seconds, 1 or more")
    if problems:
        raise ValueError("; ".join(problems))
    given: dict[str, object] = {
        "agent_id": agent_name or environ.get("CZ_AGENT_NAME") or AGENT_NAME,
        "base_url": None if base_url is None or base_url.rstrip("/") == HOSTED_URL else base_url,
        "bundle_refresh_s": refresh_interval_seconds,
    }
    if policy_mode == "local":
        given |= {"policy_file": policy_path}
    else:
        given |= {
            "api_key": api_key,
            "bundle_age_s_max": max_cache_age_seconds,
            "bundle_file": policy_path if policy_mode == "hybrid" else None,
        }
        environ = {name: value for name, value in environ.items() if name.removeprefix("CONTROLZERO_") not in FILES}
    try:
        settings = read_settings(environ, **given)
    except Rejected as error:
        raise ValueError(str(error)) from error
    return Options(
        settings=settings,
        policy_mode=policy_mode,  # type: ignore[arg-type]  # one of POLICY_MODES
        is_governed=enable_governance,
        inherited={name: environ[name] for name in INHERITED if name in environ},
    )
