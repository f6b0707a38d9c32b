"""docker-compose.yml as Compose reads it: variables at their defaults, `$$` as a dollar."""

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
PATH = REPOSITORY / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


def read() -> dict[str, Any]:
    """Return the file with its anchors merged and its variables filled in."""
    content = filled(yaml.safe_load(PATH.read_text(encoding="utf-8")))
    assert isinstance(content, dict)
    return content


def filled(value: Any) -> Any:
    """Return a value with its variables at their defaults. Raises `LookupError` for one without, which a first start would lack."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return VARIABLE.sub(_default, value) if isinstance(value, str) else value


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    return dict(read()["services"])


def ours() -> dict[str, dict[str, Any]]:
    """Return the services that run the product's own image."""
    return {name: service for name, service in services().items() if "build" in service}


def _default(found: re.Match[str]) -> str:
    if found["name"] is None:
        return "$"
    if found["default"] is None:
        raise LookupError(f"{found['name']}: without a default, so nothing starts before someone sets it")
    return str(found["default"])
