"""The transactional outbox: a control record is committed with the change it tells of, then published.

A process killed in between loses nothing: the next `publish_pending` sends it. Publishers take turns and
send, of each key, only the newest record; so records sent twice after a kill say the same again, and never
something older.
"""

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from controlplane.database import reading, writing
from controlplane.tables import OutboxRow
from topics.control import ControlRecord, control_key, encode_control
from topics.declarations import CONTROL
from topics.log import Log

TOMBSTONE = b""  # in the outbox: no record is written with no bytes
PUBLISHED_AT_ONCE_MAX = 500  # records in one append, so that a turn takes milliseconds


def enqueue(session: Session, record: ControlRecord, *, at: int) -> None:
    """Keep `record` for publishing, in the transaction of the change it tells of."""
    session.add(OutboxRow(key=control_key(record), value=encode_control(record), written_at=at))
    session.flush()  # the order of these calls is the order of publishing


def enqueue_tombstone(session: Session, record: ControlRecord, *, at: int) -> None:
    """Have `record` taken away from the topic, in the transaction of the change that ends it."""
    session.add(OutboxRow(key=control_key(record), value=TOMBSTONE, written_at=at))
    session.flush()


def publish_pending(engine: Engine, log: Log) -> int:
    """Append what is committed and unpublished to the control topic; return how many records were sent.

    Raises `Unavailable` where the log cannot take them; they stay for the next call.
    """
    sent = 0
    while pending(engine):
        log.partitions(CONTROL.name)  # brokers that are away are waited for here: in the turn, changes would wait as well over SQLite
        with writing(engine, turn="publish") as session:
            rows = session.scalars(select(OutboxRow).order_by(OutboxRow.outbox_id).limit(PUBLISHED_AT_ONCE_MAX).with_for_update()).all()
            newest = {row.key: row for row in rows}.values()
            ordered = sorted(newest, key=lambda row: row.outbox_id)
            if ordered:
                log.append(CONTROL.name, [(row.key, None if row.value == TOMBSTONE else row.value, {}) for row in ordered])
            session.execute(delete(OutboxRow).where(OutboxRow.outbox_id.in_([row.outbox_id for row in rows])))
        sent += len(ordered)
    return sent


def pending(engine: Engine) -> int:
    """Count the records that are committed and not known to be published."""
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(OutboxRow)) or 0
