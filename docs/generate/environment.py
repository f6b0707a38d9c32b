"""The tables of docs/reference/settings.md: what each process reads from the environment, from the types that read it."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from annotated_types import Ge, Gt, Le, Lt
from msgspec import Struct
from pydantic_settings import BaseSettings

from controlzero import settings as sdk
from controlzero.errors import Rejected
from docs.generate.markdown import code, table
from docs.generate.source_comments import field_comments

REPOSITORY = Path(__file__).parents[2]
STAGES = ("controlzero", "control_zero", "cz", "topics", "controlplane", "ingest", "processors", "warehouse", "dashboards")
MEANINGS: Mapping[str, str] = {
    "CONTROLZERO_API_KEY": "what to deliver with; `cz keys create` makes one",
    "CONTROLZERO_BASE_URL": "where the gateway answers",
    "CONTROLZERO_PROJECT_ID": "which project; needed where the key grants several, or the policy file is a folder",
    "CONTROLZERO_POLICY_FILE": "a policy in JSON or YAML, a signed bundle (`.czpolicy`), or a folder with one for each project, "
    "such as `<project id>.yaml`: judge by it, without a server",
    "CONTROLZERO_MODE": "`enforce` (where nothing is said), `log-only` or `off`",
    "CONTROLZERO_AGENT_ID": "who acts, where the code does not say",
    "CONTROLZERO_ENVIRONMENT": "where it runs, such as `production`: recorded with decisions; which secrets it reads is its key's environment",
    "CONTROLZERO_DELIVERY": "`http` to the gateway, or `kafka` to the brokers that KAFKA_BOOTSTRAP_SERVERS names",
    "CONTROLZERO_SPOOL": "the folder where records wait for delivery",
    "CONTROLZERO_SPOOL_BYTES_MAX": "how much of one destination may wait there; past it records are lost, and the loss is recorded",
    "CONTROLZERO_PRICES": "a TOML file",
    "CONTROLZERO_BUNDLE_FILE": "a signed bundle, `.czpolicy`, to judge by with a server",
    "CONTROLZERO_BUNDLE_REFRESH_S": "in seconds",
    "CONTROLZERO_BUNDLE_AGE_S_MAX": "how many seconds a bundle counts",
    "CZ_AGENT_NAME": "who acts, where the code does not say. Default: `default-agent`",
    "CZ_HOME": "the data folder",
    "CZ_ACTOR": "who makes changes, for the control log. Default: the user of the operating system",
    "KAFKA_BOOTSTRAP_SERVERS": "`host:port` of brokers, a comma between two: the log is then on Kafka, else in the data folder",
    "KAFKA_SECURITY_PROTOCOL": "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`",
    "KAFKA_SASL_MECHANISM": "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`",
    "KAFKA_SASL_USERNAME": "who we are",
    "KAFKA_SASL_PASSWORD": "with which password; never shown",
    "KAFKA_SSL_CAFILE": "the certificates brokers are verified by. Default: the system's",
    "KAFKA_SSL_CERTFILE": "our own certificate, where brokers ask for one",
    "KAFKA_SSL_KEYFILE": "its key",
    "KAFKA_DELIVERY_TIMEOUT_MS": "milliseconds",
    "CZ_DATABASE_URL": "`postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE`, never shown; without it, control.db in the data folder",
    "CZ_VAULT_KEY": "what secrets are sealed under, base64 of 32 bytes, former keys after a comma; never shown. "
    "Default: keys/vault.key in the data folder",
    "CZ_VAULT_KEY_FILE": "a file with it, a key a line, for its owner alone",
    "CZ_RATE_LINES_PER_S": "lines a key may deliver each second",
    "CZ_RATE_BURST_LINES": "lines a key may deliver at once after a pause",
    "CZ_WORKER_TICK_MS": "milliseconds",
    "CZ_WORKER_METRICS_PORT": "where the worker shows counts for Prometheus, at `/metrics`",
    "CZ_WATCH_TICK_S": "seconds between two looks for a full minute to judge",
    "CZ_WAREHOUSE": "the folder the ledger is in, or `s3://BUCKET/PREFIX`. Default: `warehouse` in the data folder",
    "CZ_CACHE_MB": "megabytes of files of a ledger on an object store that are kept on this machine to be read",
    "AWS_ALLOW_HTTP": "`true` where the object store is reached without TLS. Its client reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
    "AWS_REGION and more itself",
    "CZ_KEEPER_MEMORY_MB": "megabytes a merge of files may take",
    "CZ_DASHBOARDS_HOST": "the address the dashboards listen on; `cz up --host` decides for those it runs",
    "CZ_DASHBOARDS_NAMES": "names a reverse proxy has the dashboards under, apart by commas; a request under any other name is refused (421)",
    "CZ_DASHBOARDS_PORT": "their port; `cz up --dashboards-port` decides for those it runs",
    "CZ_API_URL": "where the gateway answers, as the pages tell it where no `cz up` runs over the data folder",
}


class Setting(Struct, frozen=True):
    """One environment variable of one stage."""

    name: str
    default: str
    bounds: str
    meaning: str


def blocks() -> Mapping[str, Callable[[], str]]:
    """Return the page's generated blocks."""
    return {stage: partial(_table, stage) for stage in STAGES}


def settings_of(stage: str) -> list[Setting]:
    """Return what a stage reads from the environment, in the order its settings name it."""
    module = import_module(f"{stage}.settings")
    if stage == "controlzero":
        return list(_of_sdk())
    models = [found for found in vars(module).values() if isinstance(found, type) and issubclass(found, BaseSettings)]
    if own := [model for model in models if model.__module__ == module.__name__]:
        return [_of_model(model, name) for model in own for name in model.model_fields]
    return [_setting(name, default, "", None) for name, default in _of_source(module)]


def _table(stage: str) -> str:
    rows = [(code(one.name), one.default and code(one.default), one.bounds, one.meaning) for one in settings_of(stage)]
    return table(("variable", "default", "from, to", "meaning"), rows)


def _of_sdk() -> Iterator[Setting]:
    """Yield the SDK's settings: each field of its type can be said in the environment, which its reader is asked to prove."""
    comments = field_comments(sdk.Settings)
    for field in msgspec.structs.fields(sdk.Settings):
        if field.name == "brokers":  # under KAFKA_, as every process of the product reads them
            continue
        name = f"CONTROLZERO_{field.name.upper()}"
        if not _is_read(name):
            raise LookupError(f"{name}: the settings have the field `{field.name}`, and nothing reads it from the environment")
        default = "" if field.default is None else str(field.default)
        bounds = f"from {sdk.SPOOL_BYTES_MIN:,}" if field.name == "spool_bytes_max" else ""
        yield _setting(name, default, bounds, comments.get(field.name))


def _is_read(name: str) -> bool:
    """Say whether a value of this variable makes a difference, or is refused by that name."""
    plain = {"CONTROLZERO_API_KEY": "cz_test_key"}
    try:
        return sdk.read_settings({**plain, name: "a b"}) != sdk.read_settings(plain)
    except Rejected as refused:
        return name in str(refused)


def _of_model(model: type[BaseSettings], field: str) -> Setting:
    info = model.model_fields[field]
    prefix = model.model_config.get("env_prefix", "")
    default = "" if info.default_factory is not None or info.default is None else _plain(info.default)
    return _setting(f"{prefix}{field}".upper(), default, _bounds(info.metadata), field_comments(model).get(field))


def _bounds(metadata: list[Any]) -> str:
    said = {Ge: ("from", "ge"), Gt: ("above", "gt"), Le: ("to", "le"), Lt: ("below", "lt")}
    bounds = [(*said[type(bound)], bound) for bound in metadata if type(bound) in said]
    return " ".join(f"{word} {getattr(bound, name):,}" for word, name, bound in bounds)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and value < 1_000 else f"{value:.0f}" if isinstance(value, float) else str(value)


def _of_source(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the variables that a module asks `os.environ` for by name, with what stands in for a missing one."""
    tree = ast.parse(inspect.getsource(module))
    asked = {node: _asked(node) for node in sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)), key=_line)}
    alternatives = {
        id(node.values[0]): node.values[1] for node in ast.walk(tree) if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
    }
    for node, name in asked.items():
        if name is not None:
            other = alternatives.get(id(node))
            yield name, str(getattr(module, other.id)) if isinstance(other, ast.Name) else ""


def _line(node: ast.Call) -> int:
    return node.lineno


def _asked(node: ast.Call) -> str | None:
    is_get = isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "getenv")
    return str(node.args[0].value) if is_get and node.args and isinstance(node.args[0], ast.Constant) else None


def _setting(name: str, default: str, bounds: str, comment: str | None) -> Setting:
    told = [text for text in (MEANINGS.get(name), comment) if text]
    if not told:
        raise LookupError(f"{name}: nothing says what it means; write a line in docs/generate/environment.py")
    return Setting(name, default, bounds, ": ".join(told))
