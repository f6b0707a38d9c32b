"""A ledger that the environment says is elsewhere: the commands look there."""

import time
from pathlib import Path

from controlplane.service import ControlPlane
from cz.doctor import examine
from cz.home import Home
from topics.sqlite import SqliteLog
from warehouse.lander import Lander, open_ledger
from warehouse.testing import a_landing, ids


def test_the_doctor_looks_at_the_folder_that_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CZ_WAREHOUSE", str(tmp_path / "other disk"))
    home = Home(tmp_path / "home")
    home.path.mkdir()
    Lander(home.ledger, clock=lambda: time.time_ns() // 1000, new_id=ids()).land(a_landing(range(2)))
    checks = {check.name: check.found for check in examine(home, now=time.time_ns() // 1000).checks}
    assert checks["ledger"] == f"{tmp_path}/other disk/ledger holds as many decisions as its tallies say it landed"
    assert not (home.path / "warehouse").exists()


def test_the_doctor_says_what_is_wrong_with_an_object_store(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CZ_WAREHOUSE", "s3://audit")
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    home = Home(tmp_path / "home")
    home.path.mkdir()
    (data,) = [check for check in examine(home, now=time.time_ns() // 1000).checks if check.name == "data"]
    assert not data.ok
    assert data.found.startswith("s3://audit/ledger: the object store does not take part")
    assert "restore" not in (data.next_step or "")


def test_the_doctor_finds_nothing_wrong_before_anything_has_run(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    log = SqliteLog(home.log)
    with ControlPlane(home.path, log) as plane:
        plane.create_project("shop", actor="ada")
    log.close()
    found = examine(home, now=time.time_ns() // 1000)
    assert [check for check in found.checks if not check.ok] == []
    assert found.projects == {}


def test_the_doctor_looks_at_the_ledger_though_the_log_cannot_be_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    open_ledger(home.ledger, new_id=lambda: "test")
    home.log.write_bytes(b"no log of ours" * 1_000)
    checks = {check.name: check for check in examine(home, now=time.time_ns() // 1000).checks}
    assert [name for name, check in checks.items() if not check.ok] == ["log"]
    assert "the file is damaged" in checks["log"].found
    assert checks["tally"].found.endswith("; what is in flight cannot be read")
    assert checks["ledger"].found.endswith("holds as many decisions as its tallies say it landed")
