"""Orders: kill switches that deny an agent's calls whatever its policy says, as a gateway tells them to an SDK."""

import base64
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from controlzero.errors import Rejected


class Order(Struct, frozen=True):
    """What an SDK is told of an order in force."""

    order_id: str
    reason: str
    agent_id: str | None = None  # None: every agent of the project


def concerning(orders: Sequence[Order], agent_names: Collection[str]) -> Order | None:
    """Return the first order that concerns an agent, by any of its names: the one it gives, and the masked one that pages show."""
    return next((order for order in orders if order.agent_id is None or order.agent_id in agent_names), None)


def orders_text(orders: Sequence[Order]) -> str:
    """Return orders as the header `CZ-Orders` has them: JSON, base64."""
    return base64.b64encode(msgspec.json.encode(orders)).decode()


def parse_orders(text: str | None) -> tuple[Order, ...]:
    """Return the orders of a header, none where there is no header. Raises `Rejected` for what is no list of orders."""
    if text is None:
        return ()
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=tuple[Order, ...])
    except ValueError as error:  # msgspec's errors and those of base64 are such
        raise Rejected(f"orders: not what the header CZ-Orders holds, base64 of a JSON list: {error}") from error
