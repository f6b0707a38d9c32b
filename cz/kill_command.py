"""`cz kill`: stop an agent, a project or everything, and lift that again."""

import sys
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.panel import Panel
from rich.prompt import Confirm

from controlplane.model import Order, Thrown
from controlplane.service import ControlPlane
from controlzero.errors import ControlZeroError, Rejected
from controlzero.secrets_on_disk import as_kept
from cz import settings
from cz.display import console, done, empty, print_json, table, time_text, unchanged, visible, warned
from cz.home import Home
from cz.opening import READING, Reading, chosen_project, control_plane

app = cyclopts.App(name="kill")

SEEN_DAYS, SEEN_MAX = 14, 10_000  # where an agent of the order's name is looked for

EVERYTHING = (
    "Every call of every agent of every project is denied, under log-only too, until the order is lifted. "
    "guard() returns a denial; enforce(), call_tool() and wrapped clients raise PolicyDeniedError."
)


@app.default
def kill(
    *,
    agent: Annotated[str | None, Parameter(name=["--agent", "-a"], help="Stop this agent: its id, as pages show it")] = None,
    all_agents: Annotated[bool, Parameter(negative="", help="Stop all agents of the project")] = False,
    everything: Annotated[bool, Parameter(negative="", help="Stop all agents of all projects")] = False,
    lift: Annotated[str | None, Parameter(help="Lift the order of this id")] = None,
    list_: Annotated[bool, Parameter(name="--list", negative="", help="List the orders in force")] = False,
    project: Annotated[str | None, Parameter(name=["--project", "-p"], help="The project. Default: the only one there is")] = None,
    reason: Annotated[str | None, Parameter(name=["--reason", "-r"], help="Why; stopped agents are told it")] = None,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask (--everything does)")] = False,
    as_: Annotated[str | None, Parameter(name="--as", help="Who makes the change. Default: $CZ_ACTOR, else the OS user")] = None,
    options: Reading = READING,
) -> None:
    """Throw a kill switch: calls are denied in every mode but off, with the reason, until the order is lifted.

    Example:  cz kill --agent billing-bot --project support --reason "it refunds what nobody asked for"

    Example:  cz kill --all-agents --project support --reason "the vendor was breached"

    Example:  cz kill --everything --reason "stop until we know more" --yes

    Example:  cz kill --list --json

    Example:  cz kill --lift ord_3kTz9cQmB1xY --reason "mended in 4.2"
    """
    asked = [name for name, given in _asked(agent, lift, all_agents, everything, list_).items() if given]
    if len(asked) != 1:
        raise Rejected(
            f"cz kill: {' and '.join(asked) or 'nothing to do'}; say one of --agent ID, --all-agents, --everything, --list, --lift ID"
        )
    actor = as_ or settings.read().actor
    with control_plane(options) as plane:
        if list_:
            _list(plane.list_orders(None if project is None else chosen_project(plane, project)), options)
            return
        if lift is not None:
            _lifted(plane.lift_order(lift, actor=actor, why=reason), options)
            return
        if reason is None:
            raise Rejected('cz kill: no reason; say --reason "…": agents are told it, and the control log keeps it')
        if everything:
            if project is not None:
                raise Rejected("cz kill: --everything stops all projects; to stop one, say --all-agents --project NAME")
            _confirm(yes=yes)
        chosen = None if everything else chosen_project(plane, project)
        thrown = plane.throw_order(project_id=chosen, agent_id=agent, reason=reason, actor=actor)
        _thrown(plane, thrown, options)


def named(order: Order) -> str:
    """Return whom an order stops, as a person says it."""
    if order.project_id is None:
        return "everything"
    who = "all agents" if order.agent_id is None else f"agent {visible(order.agent_id)}"
    return f"{who} of project {order.project_id}"


def _asked(agent: str | None, lift: str | None, all_agents: bool, everything: bool, list_: bool) -> dict[str, bool]:  # noqa: FBT001
    return {
        "--agent": agent is not None,
        "--all-agents": all_agents,
        "--everything": everything,
        "--list": list_,
        "--lift": lift is not None,
    }


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Rejected("cz kill --everything: it has to be confirmed and nobody is there to ask; say --yes")
    console.print(Panel(EVERYTHING, title="Everything", title_align="left", border_style="red"))
    if not Confirm.ask("Stop everything?", console=console, default=False):
        raise Rejected("nothing was changed: no order was thrown")


def _thrown(plane: ControlPlane, thrown: Thrown, options: Reading) -> None:
    order = thrown.order
    if options.json:
        print_json(thrown)
        return
    if not thrown.changed:
        unchanged(f"{named(order)}: stopped already by order {order.order_id}, since {time_text(order.issued_at)}: {order.reason}")
        return
    when = (
        "agents are told when the log takes it again, and go on until then"
        if plane.pending()
        else "agents that are connected are denied within two seconds, others when they connect"
    )
    done(
        f"Order {order.order_id} stops {named(order)}: {when}.",
        next_step=f'cz kill --lift {order.order_id} --reason "…"',
    )
    for project in plane.list_projects():
        if project.mode == "off" and order.project_id in (None, project.project_id):
            warned(
                f"Project {project.project_id} is in mode off: there an order stops nothing. cz mode set log-only --project {project.project_id}"
            )
    if order.project_id is not None and order.agent_id is not None:
        _say_if_never_seen(options, order.project_id, order.agent_id)


def _say_if_never_seen(options: Reading, project_id: str, agent_id: str) -> None:
    """Warn of an id that no agent had lately, as one does in a hurry: the order stands, and stops nobody."""
    from warehouse.snapshot import Warehouse  # with what it imports: agents are stopped by now

    where, now = Home.named(options.home), datetime.now(UTC)
    try:
        reader = Warehouse.open(where.ledger).session(project_id)
        found = reader.query("agents", from_at=now - timedelta(days=SEEN_DAYS), until_at=now + timedelta(minutes=1), limit=SEEN_MAX)
        names = {agent_id, as_kept(where.path, project_id, agent_id)}
    except ControlZeroError:  # whoever cannot read the ledger stops agents all the same
        return
    seen = [name for name in found.column("agent_id").to_pylist() if name]
    if seen and names.isdisjoint(seen):
        close = get_close_matches(agent_id, seen, 1)
        guess = f"; did you mean {visible(close[0])}?" if close else ""
        warned(f"No agent {visible(agent_id)} acted in project {project_id} in the last {SEEN_DAYS} days{guess}")


def _lifted(order: Order, options: Reading) -> None:
    if options.json:
        print_json(order)
        return
    done(f"Order {order.order_id} is lifted by {order.lifted_by}: {named(order)} is judged by policy and mode alone.")


def _list(orders: list[Order], options: Reading) -> None:
    if options.json:
        print_json(orders)
        return
    if not orders:
        empty("No order is in force.", 'cz kill --agent ID --reason "…" stops an agent; cz log shows those that were lifted')
        return
    rows = [(order.order_id, named(order), time_text(order.issued_at), order.issued_by, order.reason) for order in orders]
    console.print(table("Orders in force", ("id", "stops", "since", "by", "why"), rows))
