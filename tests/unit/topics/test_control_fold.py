from pathlib import Path

import pytest
from msgspec.structs import replace

from controlzero.errors import Rejected
from topics.control import (
    BundleRecord,
    ControlFollower,
    ControlRecord,
    ControlState,
    KeyRecord,
    OrderRecord,
    ProjectRecord,
    apply,
    control_key,
    encode_control,
    orders_of,
)
from topics.declarations import CONTROL
from topics.log import Message
from topics.sqlite import SqliteLog

KEY = KeyRecord(key_id="k1", prefix="cz_live_ab", sha256="aa", projects=("p",), created_at=1)
PROJECT = ProjectRecord(project_id="p", name="P", mode="log-only")
BUNDLE = BundleRecord(digest="d1", project_id="p", czpolicy=b"signed")
ORDER = OrderRecord(order_id="o1", reason="it deletes tables", issued_at=1, issued_by="ada", project_id="p", agent_id="bot")


def told(record: ControlRecord, offset: int = 0) -> Message:
    return Message(partition=0, offset=offset, key=control_key(record), value=encode_control(record), headers={})


def gone(record: ControlRecord, offset: int = 1) -> Message:
    return Message(partition=0, offset=offset, key=control_key(record), value=None, headers={})


def test_a_key_is_found_by_its_hash() -> None:
    state = apply(ControlState(), told(KEY))
    assert state.keys == {"aa": KEY}
    assert state.next_offset == 1


def test_a_bundle_is_found_by_its_digest_and_a_project_by_its_id() -> None:
    state = apply(apply(ControlState(), told(BUNDLE)), told(PROJECT, 1))
    assert (state.bundles, state.projects, state.next_offset) == ({"d1": BUNDLE}, {"p": PROJECT}, 2)


def test_a_record_replaces_the_last_of_its_key() -> None:
    state = apply(apply(ControlState(), told(PROJECT)), told(replace(PROJECT, mode="enforce"), 5))
    assert state.projects["p"].mode == "enforce"
    assert state.next_offset == 6


def test_a_key_replaced_under_its_id_no_longer_opens_by_its_former_hash() -> None:
    state = apply(apply(ControlState(), told(KEY)), told(replace(KEY, sha256="bb"), 1))
    assert set(state.keys) == {"bb"}


@pytest.mark.parametrize("record", [KEY, BUNDLE, PROJECT, ORDER])
def test_a_tombstone_takes_its_record_away(record: ControlRecord) -> None:
    state = apply(apply(ControlState(), told(record)), gone(record))
    assert (state.keys, state.bundles, state.projects, state.orders) == ({}, {}, {}, {})


def test_orders_of_a_project_are_its_own_and_those_for_everything_and_no_others() -> None:
    everything = replace(ORDER, order_id="o0", project_id=None, agent_id=None, issued_at=2)
    of_another = replace(ORDER, order_id="o2", project_id="q")
    state = ControlState()
    for offset, order in enumerate((everything, of_another, ORDER)):
        state = apply(state, told(order, offset))
    assert orders_of(state, "p") == (ORDER, everything)
    assert orders_of(apply(state, gone(ORDER, 3)), "p") == (everything,)
    assert orders_of(state, "r") == (everything,)


def test_a_tombstone_for_what_is_not_there_changes_nothing_else() -> None:
    assert apply(ControlState(), gone(KEY)) == ControlState(next_offset=2)


def test_folding_leaves_the_state_before_untouched() -> None:
    before = apply(ControlState(), told(KEY))
    apply(before, gone(KEY))
    assert before.keys == {"aa": KEY}


@pytest.mark.parametrize("value", [b"", b"{", b'{"kind":"order"}', b'{"kind":"key"}', b"\xff"])
def test_a_message_that_is_no_control_record_is_refused(value: bytes) -> None:
    with pytest.raises(Rejected, match=r"message 4 of cz\.control\.v1 \(key key/k1\) is passed over"):
        apply(ControlState(), Message(partition=0, offset=4, key=b"key/k1", value=value, headers={}))


def test_a_follower_sees_what_is_appended_and_says_whether_anything_was(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    follower = ControlFollower(log)
    assert not follower.poll()
    log.append(CONTROL.name, [(control_key(record), encode_control(record), {}) for record in (KEY, PROJECT, BUNDLE)])
    assert follower.poll()
    assert not follower.poll()
    assert set(follower.state.keys) == {"aa"}
    assert follower.state.next_offset == 3
    log.close()


def test_a_follower_goes_on_after_a_message_of_another_version_and_remembers_it(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append(CONTROL.name, [(b"order/stop", b'{"kind":"order"}', {}), (control_key(KEY), encode_control(KEY), {})])
    follower = ControlFollower(log)
    follower.poll()
    assert set(follower.state.keys) == {"aa"}
    assert len(follower.problems) == 1
    log.close()


def test_a_follower_that_comes_late_knows_what_one_from_the_start_knows(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    early = ControlFollower(log)
    for record in (KEY, PROJECT, replace(KEY, revoked_at=9), replace(PROJECT, mode="enforce"), BUNDLE):
        log.append(CONTROL.name, [(control_key(record), encode_control(record), {})])
        early.poll()
    log.append(CONTROL.name, [(control_key(BUNDLE), None, {})])
    early.poll()
    late = ControlFollower(log)
    late.poll()
    assert late.state == early.state
    log.close()
