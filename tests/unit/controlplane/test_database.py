import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from controlplane.database import SCHEMA_REVISION, open_database, writing
from controlplane.tables import Tables
from controlzero.errors import Rejected, Tampered, Unavailable
from topics.control import AGENT_SCOPES

in_the_data_folder = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_the_migrations_make_the_tables_the_models_say(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Tables.metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", "controlplane:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_an_open_database_is_opened_again_as_it_is(tmp_path: Path) -> None:
    open_database(tmp_path).dispose()
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [SCHEMA_REVISION]
    engine.dispose()


@in_the_data_folder
def test_nobody_else_reads_the_database_whoever_made_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    engine = open_database(tmp_path)
    with writing(engine) as session:
        session.execute(text("DELETE FROM outbox"))
        assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("control.db*")} == dict.fromkeys(
            ("control.db", "control.db-shm", "control.db-wal"), 0o600
        )
    engine.dispose()


@in_the_data_folder
def test_a_change_is_on_the_disk_when_it_is_committed(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_a_database_of_an_earlier_version_keeps_what_it_holds_and_gets_the_tables_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    with monkeypatch.context() as earlier:  # what that version did at its first start
        earlier.setattr("controlplane.database.SCHEMA_REVISION", revision)
        earlier.setattr(command, "upgrade", partial(_upgraded_to, revision, command.upgrade))
        engine = open_database(tmp_path)
    with writing(engine) as session:
        project = "project_id, name, mode, on_stale, on_unrecordable, retention_days, created_at"
        session.execute(text(f"INSERT INTO projects ({project}) VALUES ('demo', 'Demo', 'off', 'keep', 'go_on', '{{}}', 1)"))
        key = "key_id, prefix, sha256, created_at, created_by"
        session.execute(text(f"INSERT INTO api_keys ({key}) VALUES ('key_1', 'cz_live_abcd', '{'0' * 64}', 1, 'ada')"))
        session.execute(text("INSERT INTO api_key_grants (key_id, project_id) VALUES ('key_1', 'demo')"))
    engine.dispose()
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Tables.metadata) == []
        kept = connection.execute(text("SELECT project_id, mode, archived_at, on_enforcement_gap, organisation_id FROM projects")).all()
        scopes = connection.execute(text("SELECT scopes, expires_at, member FROM api_keys")).all()
        organisations = connection.execute(text("SELECT organisation_id FROM organisations")).scalars().all()
    engine.dispose()
    assert kept == [("demo", "off", None, "record", "default")]
    assert scopes == [(" ".join(AGENT_SCOPES), None, None)]  # it delivers as before, and reads no secrets that are kept from now on
    assert organisations == ["default"]


def _upgraded_to(revision: str, upgrade: Callable[[Config, str], None], config: Config, _newest: str) -> None:
    upgrade(config, revision)


def test_openers_at_the_same_time_migrate_once(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def opened(home: Path) -> Engine:
        together.wait()
        return open_database(home)

    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            for engine in pool.map(opened, [tmp_path / str(number)] * 4):
                engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Rejected, match="newer version"):
        open_database(tmp_path)


@in_the_data_folder
def test_a_file_that_is_no_database_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    with pytest.raises(Tampered, match="backup"):
        open_database(tmp_path)


@in_the_data_folder
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="expected a folder"):
        open_database(tmp_path / "file" / "home")
