"""DuckDB as this product uses it: in memory, reaching no file but the ledger's, and no network at all."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

READ = re.compile(r"\b(?:FROM|JOIN)\s+\(*(\w+)|getvariable\('(\w+_files)'\)", re.IGNORECASE)


def connect(folders: Sequence[Path], *, threads: int, memory_mb: int, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a database in memory, with our macros, that can read `folders` alone, and spill to `spill` where it may."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
            "python_enable_replacements": False,  # a name in a statement is never a variable of Python
            "temp_directory": str(spill) if spill else "",
        },
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    connection.execute("SET allowed_directories = $folders", {"folders": [str(folder) for folder in folders]})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    for script in _scripts("macros"):
        connection.execute(script)
    return connection


def set_variables(connection: duckdb.DuckDBPyConnection, variables: dict[str, object]) -> None:
    """Set what the views of a connection read: files and project. They are values, never part of a statement."""
    for name, value in variables.items():
        connection.execute(f'SET VARIABLE "{name}" = $value', {"value": value})


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the views; the variables they read must be set."""
    for script in _scripts("views"):
        connection.execute(script)


@cache
def file_lists_of(statement: str) -> frozenset[str]:
    """Return the variables of file lists that a statement reads, itself or through views, by what follows `FROM` and `JOIN`.

    One that is missed is not read as empty: a list that is not set is an error of DuckDB's.
    """
    found: set[str] = set()
    for view, variable in READ.findall(statement):
        found |= {variable} if variable else file_lists_of(_definitions().get(view.lower(), ""))
    return frozenset(found)


@cache
def _definitions() -> Mapping[str, str]:
    """Return the text of each view, and of each macro beside them, without its name."""
    parts = re.split(r"CREATE (?:VIEW|MACRO) (\w+)", "".join(_scripts("views")))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def _scripts(folder: str) -> tuple[str, ...]:
    """Return the definitions of a folder in the order of their names: they build on each other."""
    scripts = sorted(
        (entry for entry in (files("warehouse") / folder).iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name
    )
    return tuple(script.read_text(encoding="utf-8") for script in scripts)
