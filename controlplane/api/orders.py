"""Routes of orders: kill switches thrown and lifted."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import Field

from controlplane.api.asking import Call, Paged, ProjectId, Why, allowed
from controlplane.api.bodies import Body
from controlplane.api.problems import Refusal
from controlplane.api.schemas import answers, page_of
from controlplane.model import REASON_CHARS_MAX, Order, Thrown

routes = APIRouter()
OrderId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,32}$")]


class NewOrder(Body):
    """An order to throw: it denies until it is lifted."""

    agent_id: Annotated[str | None, Field(min_length=1, max_length=512, description="Default: all agents of the project.")] = None
    reason: Annotated[
        str, Field(min_length=1, max_length=REASON_CHARS_MAX, description="Agents are told it, and the control log keeps it.")
    ]


@routes.get("/v1/projects/{project_id}/orders", summary="The orders in force", responses=answers(page_of(Order)))
def orders(call: Annotated[Call, allowed("control:read")], project_id: ProjectId, page: Paged) -> Response:
    """List what is stopped in the project now, the newest first; an order without a project stops everything."""
    return call.answer(page.of(call.plane.list_orders(project_id), lambda order: order.order_id))


@routes.post("/v1/projects/{project_id}/orders", summary="Stop an agent, or all of them", status_code=201, responses=answers(Thrown, 201))
def throw(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, body: NewOrder) -> Response:
    """Connected agents are denied within two seconds. `changed` is false where an order stops the same already."""
    return call.change(
        lambda: call.plane.throw_order(project_id=project_id, agent_id=body.agent_id, reason=body.reason, actor=call.actor), status=201
    )


@routes.delete("/v1/projects/{project_id}/orders/{order_id}", summary="Lift an order", responses=answers(Order))
def lift(call: Annotated[Call, allowed("control:write")], project_id: ProjectId, order_id: OrderId, why: Why = None) -> Response:
    """Policy and mode alone decide again. An order that stops every project is the operator's to lift."""
    if all(order.order_id != order_id or order.project_id != project_id for order in call.plane.list_orders(project_id, lifted=True)):
        raise Refusal("not-found", f"The project has no order `{order_id}` of its own.")
    return call.change(lambda: call.plane.lift_order(order_id, actor=call.actor, why=why))
