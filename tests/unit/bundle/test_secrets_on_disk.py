import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlzero.bundle import key_id
from controlzero.errors import Tampered
from controlzero.secrets_on_disk import key_list, master_key, project_key, rotate_signing_key, signing_key, trusted_keys
from controlzero.trust import KEYS_MAX
from controlzero.trust import trusted_keys as trusted_keys_of


def test_the_master_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = master_key(tmp_path)
    assert len(key) == 32
    assert master_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "keys" / "master.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["master.key"]


def test_makers_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: master_key(tmp_path), range(64)))
    assert len(keys) == 1


def test_the_signing_key_comes_with_its_public_half(tmp_path: Path) -> None:
    assert trusted_keys(tmp_path) == {}
    public = signing_key(tmp_path).public_key().public_bytes_raw()
    assert trusted_keys(tmp_path) == {key_id(public): public}
    assert signing_key(tmp_path).public_key().public_bytes_raw() == public


def test_a_lost_public_half_is_written_again(tmp_path: Path) -> None:
    public = signing_key(tmp_path).public_key().public_bytes_raw()
    (tmp_path / "keys" / "signing.pub").unlink()
    signing_key(tmp_path)
    assert trusted_keys(tmp_path) == {key_id(public): public}


def test_a_key_others_can_read_is_refused_with_the_way_out(tmp_path: Path) -> None:
    master_key(tmp_path)
    (tmp_path / "keys" / "master.key").chmod(0o644)
    with pytest.raises(Tampered, match="chmod 600"):
        master_key(tmp_path)


def test_a_cut_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    master_key(tmp_path)
    (tmp_path / "keys" / "master.key").write_bytes(b"short")
    with pytest.raises(Tampered, match="expected 32"):
        master_key(tmp_path)
    assert (tmp_path / "keys" / "master.key").read_bytes() == b"short"


def test_projects_have_keys_of_their_own() -> None:
    assert project_key(bytes(32), "a") != project_key(bytes(32), "b")
    assert project_key(bytes(32), "a") != project_key(b"\x01" * 32, "a")
    assert len(project_key(bytes(32), "a")) == 32


def test_a_key_in_the_place_of_a_lost_one_is_trusted_beside_it(tmp_path: Path) -> None:
    lost = signing_key(tmp_path).public_key().public_bytes_raw()
    (tmp_path / "keys" / "signing.key").unlink()
    new = signing_key(tmp_path).public_key().public_bytes_raw()
    assert new != lost
    assert list(trusted_keys(tmp_path)) == [key_id(new), key_id(lost)]
    signing_key(tmp_path)
    assert list(trusted_keys(tmp_path)) == [key_id(new), key_id(lost)]
    assert stat.S_IMODE((tmp_path / "keys" / "signing.pub").stat().st_mode) == 0o644


def test_a_rotated_key_is_endorsed_by_the_old_one_which_is_gone(tmp_path: Path) -> None:
    first = signing_key(tmp_path).public_key().public_bytes_raw()
    old, new = rotate_signing_key(tmp_path)
    assert old.public_key().public_bytes_raw() == first
    assert signing_key(tmp_path).private_bytes_raw() == new.private_bytes_raw()
    listed = key_list(tmp_path)
    assert trusted_keys_of({key_id(first): first}, listed) == {
        key_id(first): first,
        key_id(new.public_key().public_bytes_raw()): new.public_key().public_bytes_raw(),
    }
    assert old.private_bytes_raw() not in b"".join(path.read_bytes() for path in (tmp_path / "keys").iterdir())
    assert stat.S_IMODE((tmp_path / "keys" / "signing.key").stat().st_mode) == 0o600


def test_a_key_list_forgets_the_oldest_keys_rather_than_grow_past_what_a_client_reads(tmp_path: Path) -> None:
    for _ in range(KEYS_MAX + 5):
        rotate_signing_key(tmp_path)
    listed = key_list(tmp_path)
    assert (len(listed.keys), len(listed.endorsements)) == (KEYS_MAX, KEYS_MAX)
    assert key_id(signing_key(tmp_path).public_key().public_bytes_raw()) == next(iter(listed.keys))
