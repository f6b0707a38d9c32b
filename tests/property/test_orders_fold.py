"""Orders thrown and lifted in any order are in force as a list kept by hand says, however the messages are cut into reads."""

from hypothesis import given
from hypothesis import strategies as some

from topics.control import ControlState, OrderRecord, apply_all, control_key, encode_control, orders_of
from topics.log import Message

ORDERS = some.builds(
    OrderRecord,
    order_id=some.sampled_from(["o1", "o2", "o3"]),
    reason=some.text(min_size=1, max_size=20),
    issued_at=some.integers(0, 5),
    issued_by=some.just("ada"),
    project_id=some.sampled_from([None, "p", "q"]),
    agent_id=some.sampled_from([None, "bot", "päivi/🤖"]),
)
CHANGES = some.lists(some.tuples(some.sampled_from(["thrown", "lifted"]), ORDERS), max_size=20)


@given(CHANGES, some.integers(0, 20))
def test_orders_are_in_force_from_when_they_are_thrown_until_they_are_lifted(changes: list[tuple[str, OrderRecord]], cut: int) -> None:
    by_hand: list[OrderRecord] = []
    for what, order in changes:
        by_hand = [one for one in by_hand if one.order_id != order.order_id] + ([order] if what == "thrown" else [])
    messages = [
        Message(partition=0, offset=i, key=control_key(order), value=encode_control(order) if what == "thrown" else None, headers={})
        for i, (what, order) in enumerate(changes)
    ]
    state, problems = apply_all(ControlState(), messages[:cut])
    state, more = apply_all(state, messages[cut:])
    assert (problems, more) == ((), ())
    for project_id in ("p", "q", "r"):
        concerning = [one for one in by_hand if one.project_id is None or one.project_id == project_id]
        assert sorted(concerning, key=lambda one: (one.issued_at, one.order_id)) == list(orders_of(state, project_id))
