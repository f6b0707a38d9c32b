"""Put the demonstration on: the stack, the history, the cast's processes and the incidents, in time."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import httpx
import msgspec
import zstandard
from rich.console import Console

from controlplane.service import ControlPlane
from controlzero import policy as policies
from controlzero.errors import Unavailable
from cz.children import TEND_EVERY_S, Child, Part, python_module, tended
from cz.demo import history
from cz.demo.cast import CAST
from cz.home import Home
from cz.plane import plane_over
from cz.up import no_preparation, running_stack, welcome
from topics.ending import Ending, asked_by_signals

PROJECT = "acme"
ACTOR = "demo"
BATCH_LINES = 1_000
LEAKS_AFTER_S = 20.0
STALE_AFTER_S = 15.0  # it takes its bundle now, and never another
CHANGE_AFTER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may choose of the demonstration."""

    host: str
    port: int
    dashboards_port: int
    days: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that happens at its time after the agents began."""

    after_s: float
    says: str
    happen: Callable[[], None]


def play(home: Home, options: Options, *, environment: Mapping[str, str], console: Console) -> None:
    """Run the demonstration until Ctrl-C."""
    ending = asked_by_signals()

    def say(sentence: str) -> None:
        console.print(f"[yellow]•[/] {sentence}", highlight=False)

    began = time.monotonic()
    shared = {name: value for name, value in environment.items() if not name.startswith("CONTROLZERO_")}
    with (
        running_stack(
            home,
            host=options.host,
            port=options.port,
            dashboards_port=options.dashboards_port,
            environment=shared,
            prepare=no_preparation,
            say=say,
        ) as stack,
        plane_over(home) as control_plane,
    ):
        key = set_up(control_plane)
        sent = send_history(control_plane, stack.api_url, key, days=options.days, seed=options.seed)
        console.print(f"{sent:,} decisions and outcomes of the last {options.days} days are on their way in.", style="dim", highlight=False)
        agent_environment = environment_of_agents(shared, home, api_url=stack.api_url, key=key)
        with on_stage(cast(home, agent_environment), say) as children:
            console.print(welcome(stack, time.monotonic() - began, project=PROJECT))
            coming = list(_incidents(control_plane, home, agent_environment, children))
            _run(coming, ending, say)
    console.print("The demonstration has ended.")


def _run(coming: list[Incident], ending: Ending, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    while not ending.wait(TEND_EVERY_S):
        while coming and time.monotonic() - began >= coming[0].after_s:
            incident = coming.pop(0)
            incident.happen()
            say(incident.says)


def set_up(control_plane: ControlPlane) -> str:
    """Make the project with its policy and its candidate; return the agents' key."""
    control_plane.create_project(PROJECT, actor=ACTOR, why="the demonstration")
    control_plane.apply_policy(PROJECT, [_policy("acme")], actor=ACTOR, why="the policy of the fortnight")
    control_plane.add_candidate(PROJECT, _policy("acme-candidate"), actor=ACTOR, why="would the stricter one hurt?")
    key, _ = control_plane.create_key([PROJECT], actor=ACTOR, why="the demonstration's agents")
    control_plane.publish_pending()
    return key


def _policy(name: str) -> str:
    return (files("cz.demo") / "policies" / f"{name}.json").read_text(encoding="utf-8")


def send_history(control_plane: ControlPlane, api_url: str, key: str, *, days: int, seed: int) -> int:
    """Send the days before today as their agents would have; return how many decisions and outcomes they are."""
    project = control_plane.project(PROJECT)
    past = history.Past(policy=policies.compile(_policy("acme")), bundle_digest=project.bundle_digest or "", mode=project.mode)
    sent = 0
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {key}", "CZ-Backfill": "1"}, timeout=30.0) as client:
        for shift in history.shifts(until=time.time_ns() // 1000, days=days, seed=seed, past=past):
            for first in range(0, len(shift.lines), BATCH_LINES):
                _send(client, shift, first)
            sent += len(shift.lines)
    return sent


def _send(client: httpx.Client, shift: history.Shift, first: int) -> None:
    lines = shift.lines[first : first + BATCH_LINES]
    headers = {"CZ-Producer": shift.producer, "CZ-First-Seq": str(first), "CZ-Total": str(len(shift.lines)), "Content-Encoding": "zstd"}
    if first + len(lines) == len(shift.lines):
        headers["CZ-Closed"] = "1"
    answer = client.post("/v1/decisions", content=zstandard.compress(b"\n".join(lines) + b"\n"), headers=headers)
    if answer.status_code != 202 or answer.json()["rejected"]:
        raise Unavailable(f"the gateway did not take the history: {answer.status_code} {answer.text[:500]}")


def environment_of_agents(environment: Mapping[str, str], home: Home, *, api_url: str, key: str) -> dict[str, str]:
    """Return what connects the agents to a gateway."""
    connected = {"CONTROLZERO_API_KEY": key, "CONTROLZERO_BASE_URL": api_url, "CONTROLZERO_PROJECT_ID": PROJECT}
    return {**environment, **connected, "CONTROLZERO_SPOOL": str(home.path / "spool")}


def cast(home: Home, environment: Mapping[str, str]) -> list[Child]:
    """Return the agents of the cast, each a process that is not started yet."""
    return [_live(agent.name, number, home, environment) for number, agent in enumerate(CAST)]


def _live(name: str, seed: int, home: Home, environment: Mapping[str, str], *options: str, part: str | None = None) -> Child:
    command = python_module("cz.demo.live", name, "--seed", str(seed), *options)
    return Child(Part(name=part or f"agent-{name}", command=command, drain_s=5.0), run=home.run, environment=environment)


@contextlib.contextmanager
def on_stage(agents: Sequence[Child], say: Callable[[str], None]) -> Iterator[list[Child]]:
    """Have the agents act for as long as the block lasts; more may join the list."""
    children = list(agents)
    try:
        for child in children:
            child.start()
        with tended(children, say):
            yield children
    finally:
        for child in children:
            child.stop()


def _incidents(control_plane: ControlPlane, home: Home, environment: Mapping[str, str], children: list[Child]) -> list[Incident]:
    def enter(child: Child) -> None:
        child.start()
        children.append(child)

    def change_policy() -> None:
        rules = msgspec.json.decode(_policy("acme"))
        rules["rules"] = [rule for rule in rules["rules"] if rule["id"] not in ("support-model", "lookups")]
        control_plane.apply_policy(
            PROJECT, [msgspec.json.encode(rules).decode()], actor="lena", why="tidy up: these two rules looked unused"
        )
        control_plane.publish_pending()

    return [
        Incident(
            after_s=STALE_AFTER_S,
            says="An agent started that never asks for a newer bundle: see Findings, drift.",
            happen=lambda: enter(_live("basic-support", 101, home, environment, "--stale", part="agent-stale")),
        ),
        Incident(
            after_s=LEAKS_AFTER_S,
            says="support-bot writes customers' cards and addresses into mails: see Findings, personal data.",
            happen=lambda: enter(_live("support-bot", 102, home, environment, "--leaks", part="agent-leaking")),
        ),
        Incident(
            after_s=CHANGE_AFTER_S,
            says="lena removed two rules that looked unused: denials jump. See Overview and Rollout.",
            happen=change_policy,
        ),
    ]
