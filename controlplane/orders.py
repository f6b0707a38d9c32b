"""Throwing and lifting kill switches."""

from collections.abc import Callable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from controlplane.changes import InHand, locked_project, log_change, publish, withdraw
from controlplane.model import ORDERS_MAX, REASON_CHARS_MAX, NotFound, Order, Thrown
from controlplane.tables import OrderRow
from controlzero.errors import Rejected
from controlzero.records import NAME_CHARS_MAX
from topics.control import OrderRecord

ID_BYTES = 9  # 12 url-safe characters
LISTED_MAX = 1_000  # of one answer
NAMED_MAX = 10  # in one sentence


def throw_order(change: InHand, project_id: str | None, agent_id: str | None, reason: str, *, token: Callable[[int], str]) -> Thrown:
    """Put an order in force, unless there is one for the same; its `reason` is the control log's too."""
    _check(project_id, agent_id, reason)
    if project_id is not None:
        locked_project(change.session, project_id)
    live = list(change.session.scalars(select(OrderRow).where(OrderRow.project_id == project_id, OrderRow.lifted_at.is_(None))))
    for row in live:
        if row.agent_id == agent_id:
            return Thrown(changed=False, order=_order(row))
    if len(live) >= ORDERS_MAX:
        raise Rejected(
            f"project `{project_id}`: {len(live)} orders are in force, expected at most {ORDERS_MAX}; "
            f"lift those that are over (`cz kill --list`), or stop the whole project (`cz kill --all-agents --project {project_id}`)"
        )
    row = OrderRow(
        order_id=f"ord_{token(ID_BYTES)}",
        project_id=project_id,
        agent_id=agent_id,
        reason=reason,
        issued_at=change.at,
        issued_by=change.actor,
        lifted_at=None,
        lifted_by=None,
    )
    change.session.add(row)
    change.session.flush()
    log_change(change, "order.thrown", project_id=project_id, subject=_subject(row), after=row.order_id)
    publish(change, _record(row))
    return Thrown(changed=True, order=_order(row))


def lift_order(change: InHand, order_id: str) -> Order:
    """End an order; one that was lifted stays as it is. Raises `NotFound`."""
    row = change.session.get(OrderRow, order_id, with_for_update=True)
    if row is None:
        live = ", ".join(one.order_id for one in list_orders(change.session, None, lifted=False)[:NAMED_MAX]) or "none"
        raise NotFound(f"order `{order_id}`: not found; in force: {live}")
    if row.lifted_at is None:
        row.lifted_at, row.lifted_by = change.at, change.actor
        change.session.flush()
        log_change(change, "order.lifted", project_id=row.project_id, subject=_subject(row), before=row.order_id)
        withdraw(change, _record(row))
    return _order(row)


def list_orders(session: Session, project_id: str | None, *, lifted: bool) -> list[Order]:
    """Return the orders that concern a project (None: all there are), the newest first, with those lifted if `lifted`."""
    query = select(OrderRow).order_by(OrderRow.issued_at.desc(), OrderRow.order_id).limit(LISTED_MAX)
    if project_id is not None:
        query = query.where(or_(OrderRow.project_id == project_id, OrderRow.project_id.is_(None)))
    if not lifted:
        query = query.where(OrderRow.lifted_at.is_(None))
    return [_order(row) for row in session.scalars(query)]


def latest_order(session: Session, project_id: str, agent_id: str) -> Order | None:
    """Return the last order that was thrown for that agent of that project, lifted or not."""
    query = select(OrderRow).where(OrderRow.project_id == project_id, OrderRow.agent_id == agent_id)
    row = session.scalars(query.order_by(OrderRow.issued_at.desc()).limit(1)).first()
    return None if row is None else _order(row)


def _check(project_id: str | None, agent_id: str | None, reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_CHARS_MAX or not reason.isprintable():
        raise Rejected(
            f"reason: {len(reason):,} characters, expected 1 to {REASON_CHARS_MAX} printable ones in one line; "
            "the agent is told it with every call that is denied"
        )
    if agent_id is not None and project_id is None:
        raise Rejected(f"agent `{agent_id}`: of which project? Expected one; agents of the same name in two projects are two agents")
    if agent_id is not None and not (1 <= len(agent_id) <= NAME_CHARS_MAX and agent_id.isprintable()):
        raise Rejected(f"agent {agent_id!r}: expected 1 to {NAME_CHARS_MAX} printable characters, the agent's id as pages show it")


def _subject(row: OrderRow) -> str:
    if row.agent_id is not None:
        return row.agent_id[:200]
    return "everything" if row.project_id is None else "all agents"


def _record(row: OrderRow) -> OrderRecord:
    return OrderRecord(
        order_id=row.order_id,
        reason=row.reason,
        issued_at=row.issued_at,
        issued_by=row.issued_by,
        project_id=row.project_id,
        agent_id=row.agent_id,
    )


def _order(row: OrderRow) -> Order:
    return Order(
        order_id=row.order_id,
        project_id=row.project_id,
        agent_id=row.agent_id,
        reason=row.reason,
        issued_at=row.issued_at,
        issued_by=row.issued_by,
        lifted_at=row.lifted_at,
        lifted_by=row.lifted_by,
    )
