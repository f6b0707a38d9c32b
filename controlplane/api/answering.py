"""An answer given once: a change asked for again under the same `Idempotency-Key` is answered as it was, and made no second time.

The answer is kept in the transaction of the change, for a day and within bounds: the oldest of the organisation goes first. It may hold a new key's secret, so it is sealed under the asker's own
key, which nobody keeps: who has the database alone opens none.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from controlplane.api.authentication import Caller
from controlplane.api.problems import Refusal
from controlplane.service import ControlPlane
from controlplane.tables import AnsweredRow, GrantRow, ProjectRow
from controlplane.vault import seal, unseal

NAME_CHARS_MAX = 200
KEPT_US = 86_400_000_000
KEPT_MAX = 1_000  # of an organisation: one more takes the place of the oldest, and each change looks at them all
KEPT_BYTES_MAX = 16 * 2**20  # of these together: an answer may hold a policy of megabytes


class Answer(Struct, frozen=True, kw_only=True):
    """What is answered; `is_repeated` where it was before."""

    status: int
    body: bytes
    is_repeated: bool = False


def encoded(value: Any, status: int) -> Answer:
    """Return a record as an answer."""
    return Answer(status=status, body=msgspec.json.encode(value))


def answered_once(
    plane: ControlPlane, caller: Caller, name: str, asked: tuple[str, str, str, bytes], make: Callable[[], Answer], *, at: int
) -> Answer:
    """Return the answer to a change under this name, made now or kept since. Raises `Refusal` (422) for a name that another change has."""
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise Refusal("bad-parameter", f"`Idempotency-Key` has {len(name)} characters, expected 1 to {NAME_CHARS_MAX}.")
    # Keyed: a body may hold a secret, which a plain hash would let who has the tables try out.
    request = hmac.new(caller.secret, b"cz/request/" + msgspec.json.encode(asked), hashlib.sha256).hexdigest()
    place = (caller.key.key_id, hashlib.sha256(name.encode()).hexdigest())
    sealing = hmac.digest(caller.secret, b"cz/answered/" + name.encode(), hashlib.sha256)
    with plane.together() as session:  # changes take turns: who asks at the same time finds what was answered first
        kept = session.get(AnsweredRow, place)
        if kept is not None and at - kept.at < KEPT_US:
            if not hmac.compare_digest(kept.request, request):
                raise Refusal("idempotency-key-reused", "This `Idempotency-Key` came with another request before.")
            return replace(msgspec.json.decode(unseal(sealing, kept.sealed, *place), type=Answer), is_repeated=True)
        answer = make()
        sealed = seal(sealing, msgspec.json.encode(answer), *place)
        session.execute(delete(AnsweredRow).where(AnsweredRow.at <= at - KEPT_US))
        _make_room(session, caller, len(sealed))
        session.add(AnsweredRow(key_id=place[0], asked=place[1], request=request, sealed=sealed, at=at))
    return answer


def _make_room(session: Session, caller: Caller, size: int) -> None:
    """Forget the oldest answers of the caller's organisation, so that one of `size` bytes more is within the bounds."""
    organisation = select(ProjectRow.organisation_id).where(ProjectRow.project_id == caller.key.projects[0]).scalar_subquery()
    keys = select(GrantRow.key_id).join(ProjectRow).where(ProjectRow.organisation_id == organisation)
    newest_first = (AnsweredRow.at.desc(), AnsweredRow.key_id, AnsweredRow.asked)
    counted = (
        select(
            AnsweredRow.key_id,
            AnsweredRow.asked,
            func.count().over(order_by=newest_first).label("count"),
            func.sum(func.length(AnsweredRow.sealed)).over(order_by=newest_first).label("bytes"),
        )
        .where(AnsweredRow.key_id.in_(keys))
        .subquery()
    )
    beyond = select(counted.c.key_id, counted.c.asked).where(or_(counted.c.count >= KEPT_MAX, counted.c.bytes + size > KEPT_BYTES_MAX))
    session.execute(delete(AnsweredRow).where(tuple_(AnsweredRow.key_id, AnsweredRow.asked).in_(beyond)))
