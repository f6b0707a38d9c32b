"""What a session brings to an agent: tools, and secrets in the clear to keys that may read them, never without a trace."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.database import open_database, writing
from controlplane.model import NotFound
from controlplane.service import ControlPlane
from controlplane.tables import DataKeyRow
from controlplane.tools import parse_tool
from controlplane.vault import vault_keys
from controlzero.errors import Rejected, Tampered
from controlzero.session import HttpTool, McpCommandTool
from topics.sqlite import SqliteLog

VALUE = "sk_live_0123456789"


@pytest.fixture
def shop(plane: ControlPlane) -> ControlPlane:
    plane.create_project("shop", actor="ada")
    return plane


def test_a_session_has_the_tools_and_the_secrets_of_its_project_alone(shop: ControlPlane) -> None:
    shop.create_project("other", actor="ada")
    tool = HttpTool(name="refunds", url="https://example.org/refunds", headers={"Authorization": "Bearer ${secret:STRIPE_KEY}"})
    shop.set_tool("shop", tool, actor="ada")
    shop.set_secret("shop", "STRIPE_KEY", VALUE, actor="ada")
    shop.set_secret("other", "THEIRS", "theirs", actor="ada")
    _, key = shop.create_key(["shop"], actor="ada")
    session = shop.session("shop", key, with_secrets=True)
    assert (session.project_id, session.tools, session.secrets) == ("shop", (tool,), {"STRIPE_KEY": VALUE})
    assert VALUE not in repr(session)
    assert shop.session("shop", key, with_secrets=False).secrets == {}


def test_a_key_of_an_environment_reads_its_own_secrets_in_the_place_of_those_for_all(shop: ControlPlane) -> None:
    for name in ("staging", "production"):
        shop.add_environment("shop", name, actor="ada")
    shop.set_secret("shop", "A", "for all", actor="ada")
    shop.set_secret("shop", "B", "for all", actor="ada")
    shop.set_secret("shop", "B", "staging's", actor="ada", environment="staging")
    shop.set_secret("shop", "C", "production's", actor="ada", environment="production")
    secrets_of = {}
    for environment in (None, "staging", "production"):
        _, key = shop.create_key(["shop"], actor="ada", environment=environment)
        secrets_of[environment] = shop.session("shop", key, with_secrets=True).secrets
    assert secrets_of == {
        None: {"A": "for all", "B": "for all"},
        "staging": {"A": "for all", "B": "staging's"},
        "production": {"A": "for all", "B": "for all", "C": "production's"},
    }


def test_a_secret_is_nowhere_in_the_clear(shop: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    shop.set_secret("shop", "STRIPE_KEY", VALUE, actor="ada", why="payments")
    shop.set_secret("shop", "STRIPE_KEY", f"{VALUE}-2", actor="ada")
    shop.delete_secret("shop", "STRIPE_KEY", actor="ada")
    shop.set_secret("shop", "STRIPE_KEY", f"{VALUE}-3", actor="ada")
    assert VALUE not in repr(shop.list_secrets("shop")) + repr(shop.control_log()) + repr(vault_keys(tmp_path))
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or VALUE.encode() not in file.read_bytes(), file
    with pytest.raises(Rejected) as told:
        shop.set_secret("shop", "STRIPE_KEY", VALUE * 2_000, actor="ada")
    assert VALUE not in str(told.value)


def test_each_reading_is_noted_and_an_hour_of_them_is_one_line_of_the_log(shop: ControlPlane) -> None:
    shop.set_secret("shop", "STRIPE_KEY", VALUE, actor="ada")
    assert shop.list_secrets("shop")[0].last_read_by is None
    _, key = shop.create_key(["shop"], actor="ada", name="support bot")
    _, other = shop.create_key(["shop"], actor="ada")
    for _ in range(5):
        shop.session("shop", key, with_secrets=True)
    (secret,) = shop.list_secrets("shop")
    assert (secret.last_read_by, secret.version) == (f"support bot ({key.key_id})", 1)
    shop.session("shop", other, with_secrets=True)
    assert shop.list_secrets("shop")[0].last_read_by == other.key_id
    shop.session("shop", key, with_secrets=True)
    assert [entry.actor for entry in shop.control_log("shop") if entry.action == "secrets.read"] == [
        other.key_id,
        f"support bot ({key.key_id})",
    ]


def test_a_secret_set_again_has_a_version_more_and_the_log_says_who(shop: ControlPlane) -> None:
    shop.set_secret("shop", "K", "one", actor="ada")
    assert shop.set_secret("shop", "K", "two", actor="bob", why="rotated at the bank").version == 2
    entry = shop.control_log("shop", limit=1)[0]
    assert (entry.actor, entry.action, entry.subject, entry.from_value, entry.to_value, entry.why) == (
        "bob",
        "secret.set",
        "K",
        "version 1",
        "version 2",
        "rotated at the bank",
    )


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 101, "a/b", "${secret:A}"])
def test_a_name_that_no_tool_could_refer_to_is_refused(shop: ControlPlane, name: str) -> None:
    with pytest.raises(Rejected, match="expected 1 to 100"):
        shop.set_secret("shop", name, "value", actor="ada")


def test_what_is_not_there_is_named_with_what_is(shop: ControlPlane) -> None:
    shop.set_secret("shop", "THERE", "value", actor="ada")
    with pytest.raises(NotFound, match="none such; `cz secrets list --project shop`") as told:
        shop.delete_secret("shop", "GONE", actor="ada")
    assert "THERE" not in str(told.value)  # who may set secrets may not list them for that
    with pytest.raises(NotFound, match="staging"):
        shop.set_secret("shop", "THERE", "value", actor="ada", environment="staging")
    with pytest.raises(NotFound, match="there are: none"):
        shop.delete_tool("shop", "gone", actor="ada")


def test_a_tool_is_set_once_and_shown_without_its_headers(shop: ControlPlane) -> None:
    tool = McpCommandTool(name="files", command=("npx", "server", "--token=abc"), env={"TOKEN": "${secret:TOKEN}"})
    assert shop.set_tool("shop", tool, actor="ada")
    assert not shop.set_tool("shop", tool, actor="ada")
    assert shop.list_tools("shop") == [tool]
    assert shop.delete_tool("shop", "files", actor="ada") == tool
    assert shop.list_tools("shop") == []
    assert [(entry.action, entry.from_value, entry.to_value) for entry in shop.control_log("shop", limit=2)] == [
        ("tool.deleted", "mcp-stdio npx", None),
        ("tool.set", None, "mcp-stdio npx"),
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("A\r\nB", "c"), ("", "c"), ("Authorization:", "c"), ("A", "c\r\nHost: elsewhere"), ("A", "\x1b[2J"), ("A", "c\0")]
)
def test_a_header_that_would_be_two_is_refused(shop: ControlPlane, name: str, value: str) -> None:
    with pytest.raises(Rejected, match="header"):
        shop.set_tool("shop", HttpTool(name="t", url="https://example.org/", headers={name: value}), actor="ada")
    assert shop.list_tools("shop") == []


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@example.org/x",
        "ftp://example.org/",
        "https://[bad/x",
        "x",
        "https:///no-host",
        "https://example.org/\r\nX: y",
        "https://example.org/a b",
        "https://example.org/\u202etxt",
    ],
)
def test_a_tool_that_cannot_be_reached_so_or_shows_a_password_is_refused(shop: ControlPlane, url: str) -> None:
    with pytest.raises(Rejected, match=r"tool|url"):
        shop.set_tool("shop", HttpTool(name="t", url=url), actor="ada")
    assert shop.list_tools("shop") == []


def test_an_address_that_is_none_is_told_what_one_looks_like() -> None:
    for wrong in ("ftp://x", "", "https://"):
        with pytest.raises(Rejected, match=r"`\$\.url`; expected .* `url` \(http:// or https://\)"):
            parse_tool(f'{{"kind": "http", "name": "t", "url": "{wrong}"}}')


def test_rotating_the_vaults_key_keeps_the_secrets_and_the_old_key_opens_nothing(shop: ControlPlane, tmp_path: Path) -> None:
    shop.create_project("other", actor="ada")
    shop.set_secret("shop", "A", "one", actor="ada")
    shop.set_secret("other", "B", "two", actor="ada")
    path = tmp_path / "keys" / "vault.key"
    before = path.read_bytes()
    rotation = shop.rotate_vault_key(actor="ada", why="ada left")
    assert (rotation.rewrapped, rotation.destroyed) == (2, True)
    assert before not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    _, key = shop.create_key(["shop", "other"], actor="ada")
    assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one"}
    assert shop.session("other", key, with_secrets=True).secrets == {"B": "two"}
    now = path.read_bytes()
    path.write_bytes(before)
    with pytest.raises(Tampered, match="put it back"):
        shop.session("shop", key, with_secrets=True)
    path.write_bytes(now)
    assert shop.control_log(limit=1)[0].action == "secrets.read"
    assert [entry.why for entry in shop.control_log() if entry.action == "vault.rotated"] == ["ada left"]


def test_a_rotation_that_was_killed_half_way_loses_nothing(shop: ControlPlane, tmp_path: Path) -> None:
    """The file then has the new key before the old one, and nothing or everything is sealed under the new."""
    shop.set_secret("shop", "A", "one", actor="ada")
    path = tmp_path / "keys" / "vault.key"
    old = path.read_bytes()
    path.write_bytes(b"A" * 43 + b"=\n" + old)
    _, key = shop.create_key(["shop"], actor="ada")
    assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one"}
    shop.set_secret("shop", "B", "two", actor="ada")
    shop.rotate_vault_key(actor="ada")
    assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one", "B": "two"}
    assert len(path.read_bytes().splitlines()) == 1


def test_however_many_rotations_are_interrupted_the_key_in_use_stays(shop: ControlPlane, tmp_path: Path) -> None:
    """The last ones by a data key that does not open, which every rotation meets again."""
    shop.set_secret("shop", "A", "one", actor="ada")
    path = tmp_path / "keys" / "vault.key"
    unused = b"".join(base64.b64encode(bytes([number]) * 32) + b"\n" for number in range(9))
    path.write_bytes(unused + path.read_bytes())
    shop.create_project("other", actor="ada")
    shop.set_secret("other", "B", "two", actor="ada")
    database = open_database(tmp_path)
    with writing(database) as session:
        theirs = session.get_one(DataKeyRow, "other")
        whole, theirs.sealed = theirs.sealed, bytes(60)
    for _ in range(9):
        with pytest.raises(Tampered, match="does not open"):
            shop.rotate_vault_key(actor="ada")
    with writing(database) as session:
        session.get_one(DataKeyRow, "other").sealed = whole
    database.dispose()
    _, key = shop.create_key(["shop", "other"], actor="ada")
    for _ in range(2):
        assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one"}
        assert shop.session("other", key, with_secrets=True).secrets == {"B": "two"}
        shop.rotate_vault_key(actor="ada")
    assert len(path.read_bytes().splitlines()) == 1


def test_rotations_at_the_same_time_destroy_no_key_in_use(shop: ControlPlane, log: SqliteLog, tmp_path: Path) -> None:
    shop.set_secret("shop", "A", "one", actor="ada")
    _, key = shop.create_key(["shop"], actor="ada")

    def rotate(number: int) -> None:
        with ControlPlane(tmp_path, log) as plane:
            for _ in range(10):
                plane.rotate_vault_key(actor=f"rotation {number}")

    with ThreadPoolExecutor(3) as at_once:
        list(at_once.map(rotate, range(3)))
    assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one"}
    assert len((tmp_path / "keys" / "vault.key").read_bytes().splitlines()) == 1


def test_a_lost_vault_key_is_not_replaced_in_silence(shop: ControlPlane, tmp_path: Path) -> None:
    shop.set_secret("shop", "A", "one", actor="ada")
    (tmp_path / "keys" / "vault.key").unlink()
    with pytest.raises(Tampered, match="restore it"):
        shop.set_secret("shop", "B", "two", actor="ada")
    assert not (tmp_path / "keys" / "vault.key").exists()


def test_a_vault_key_that_others_can_read_is_refused(shop: ControlPlane, tmp_path: Path) -> None:
    shop.set_secret("shop", "A", "one", actor="ada")
    (tmp_path / "keys" / "vault.key").chmod(0o644)
    with pytest.raises(Tampered, match="chmod 600"):
        shop.set_secret("shop", "B", "two", actor="ada")


def test_a_key_from_a_variable_or_a_file_leaves_none_in_the_data_folder(
    shop: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = "A" * 43 + "=", "B" * 42 + "A="
    monkeypatch.setenv("CZ_VAULT_KEY", one)
    shop.set_secret("shop", "A", "one", actor="ada")
    monkeypatch.setenv("CZ_VAULT_KEY", f"{two},{one}")
    rotation = shop.rotate_vault_key(actor="ada")
    assert (rotation.rewrapped, rotation.destroyed) == (1, False)
    monkeypatch.delenv("CZ_VAULT_KEY")
    (tmp_path / "mounted").write_text(f"{two}\n")
    (tmp_path / "mounted").chmod(0o600)
    monkeypatch.setenv("CZ_VAULT_KEY_FILE", str(tmp_path / "mounted"))
    _, key = shop.create_key(["shop"], actor="ada")
    assert shop.session("shop", key, with_secrets=True).secrets == {"A": "one"}
    assert not (tmp_path / "keys" / "vault.key").exists()


@pytest.mark.parametrize("setting", ["", "short", "A" * 44, "A" * 43 + "=,nonsense"])
def test_a_vault_key_that_is_none_is_refused_without_being_shown(
    shop: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    (tmp_path / "mounted").write_text(setting)
    (tmp_path / "mounted").chmod(0o600)
    monkeypatch.setenv("CZ_VAULT_KEY_FILE", str(tmp_path / "mounted"))
    with pytest.raises(Tampered, match="base64") as told:
        shop.set_secret("shop", "A", "one", actor="ada")
    assert not setting or setting not in str(told.value)
