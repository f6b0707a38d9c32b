"""`cz policy`: validate, apply, show and compare policies, and judge candidates in shadow."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.prompt import Confirm

from controlplane.model import Change, PolicyVersion, Project
from controlplane.service import ControlPlane
from controlplane.signing import decode_policies, policies_text
from controlplane.wording import policy_difference, policy_text
from controlzero.errors import Problem, Rejected, told
from controlzero.policy import Policy, denies_everything, parse, policy_digest
from controlzero.trust import key_list_lines
from cz.display import console, done, empty, mode_text, print_json, short, source, table, time_text, unchanged, warned
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane
from cz.policy_checks import fmt, lint, read_policy, run_tests, validate
from cz.policy_schema import schema

app = cyclopts.App(name="policy", help="Policies: what is allowed, and every version of it.")
candidate = cyclopts.App(name="candidate", help="Candidates: policies judged in shadow beside the one in force.")
app.command(candidate)
for command, name in ((validate, "validate"), (lint, "lint"), (run_tests, "test"), (fmt, "fmt"), (schema, "schema")):
    app.command(command, name=name)

YesOption = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask, where it would stop everything")]
FileArgument = Annotated[Path, Parameter(help="A policy in JSON or YAML; - for standard input", allow_leading_hyphen=True)]


@app.command
def apply(
    file: FileArgument,
    *,
    project: ProjectOption = None,
    yes: YesOption = False,
    options: Changing = CHANGING,
) -> None:
    """Put a policy in force, as a new signed version.

    It asks before a policy that denies everything is put in force in a project that enforces.

    Example:  cz policy apply support-bot.yaml --project support-bot --why "refunds need a person"
    """
    policies, doubts = read_policy(file)
    if not options.json:
        _warn(doubts)
    with control_plane(options) as plane:
        before = plane.project(chosen_project(plane, project))
        if not yes:
            _ask_if_it_stops_all(before, policies)
        change = plane.apply_policy(before.project_id, policies, actor=options.actor, why=options.why)
    _say_applied(change, options, doubts)


@app.command
def show(
    version: Annotated[int | None, Parameter(help="Which version. Default: the one in force")] = None,
    /,
    *,
    project: ProjectOption = None,
    options: Reading = READING,
) -> None:
    """Show a policy as text.

    Example:  cz policy show 3 --project support-bot
    """
    with control_plane(options) as plane:
        found = plane.policy(chosen_project(plane, project), version)
    if options.json:
        print_json(found)
        return
    source(f"# {_title(found)}\n{policy_text(found.policies)}", "yaml")


@app.command
def versions(*, project: ProjectOption = None, options: Reading = READING) -> None:
    """List the signed versions, newest first, each with the change that made it.

    Example:  cz policy versions --project support-bot
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        found = plane.policy_versions(chosen)
        in_force = plane.project(chosen).version
    if options.json:
        print_json(found)
        return
    if not found:
        empty(f"Project {chosen} has no policy yet.", f"cz policy apply FILE --project {chosen}")
        return
    rows = [
        (
            f"{one.version}{' ●' if one.version == in_force else ''}",
            one.change,
            mode_text(one.mode),
            short(one.policy_digest),
            short(one.digest),
            time_text(one.created_at),
            one.created_by,
            one.why or "",
        )
        for one in found
    ]
    console.print(
        table(f"Versions of {chosen} (● in force)", ("version", "change", "mode", "policy", "bundle", "when", "who", "why"), rows)
    )


@app.command
def diff(
    before: Annotated[str, Parameter(help="A version, or a file")],
    after: Annotated[str | None, Parameter(help="A version, or a file. Default: the version in force is compared with the first")] = None,
    *,
    project: ProjectOption = None,
    options: Reading = READING,
) -> None:
    """Compare two versions, or files; with one, the version in force is compared with it.

    Example:  cz policy diff 2 3        cz policy diff new.yaml
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        old_name, new_name = (before, after) if after is not None else ("in force", before)
        old, new = _documents(plane, chosen, old_name), _documents(plane, chosen, new_name)
    lines = list(policy_difference(old, new, before_name=_labelled(old_name), after_name=_labelled(new_name)))
    if options.json:
        print_json({"project_id": chosen, "same": not lines, "lines": lines})
    elif not lines:
        unchanged(f"{_labelled(old_name)} and {_labelled(new_name)} say the same.")
    else:
        source("\n".join(lines), "diff")


@app.command
def export(
    file: Annotated[Path, Parameter(help="Where to write it, such as support-bot.czpolicy")],
    version: Annotated[int | None, Parameter(help="Which version. Default: the one in force")] = None,
    /,
    *,
    project: ProjectOption = None,
    options: Reading = READING,
) -> None:
    """Write the signed bundle to a file, for agents that judge without a server, and the keys to verify it with beside it (.pub).

    Example:  cz policy export support-bot.czpolicy --project support-bot
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        found, czpolicy, listed = plane.policy(chosen, version), plane.czpolicy(chosen, version), plane.signing_keys()
    beside = file.with_suffix(".pub")
    file.write_bytes(czpolicy)
    beside.write_text("".join(f"{line}\n" for line in key_list_lines(listed)))
    if options.json:
        print_json({"file": str(file), "bytes": len(czpolicy), "digest": found.digest, "public_file": str(beside)})
        return
    done(f"{file}: {_title(found)}, {len(czpolicy):,} bytes. {beside}: the keys to verify it with.", next_step=f"cz bundle verify {file}")


@candidate.command
def add(file: FileArgument, *, project: ProjectOption = None, options: Changing = CHANGING) -> None:
    """Have a policy judged in shadow: it decides nothing, and the Rollout page compares it with the one in force.

    Example:  cz policy candidate add stricter.yaml --project support-bot
    """
    policies, _ = read_policy(file)
    with control_plane(options) as plane:
        added = plane.add_candidate(chosen_project(plane, project), policies, actor=options.actor, why=options.why)
    if options.json:
        print_json(added)
        return
    done(
        f"Candidate {added.name} ({short(added.digest)}) is judged beside project {added.project_id} from now on.",
        next_step=f"cz policy candidate promote {short(added.digest)} --project {added.project_id}",
    )


@candidate.command
def remove(
    name: Annotated[str, Parameter(help="Its digest, the start of it, or its name")],
    *,
    project: ProjectOption = None,
    options: Changing = CHANGING,
) -> None:
    """Stop judging by a candidate.

    Example:  cz policy candidate remove stricter --project support-bot
    """
    with control_plane(options) as plane:
        removed = plane.remove_candidate(chosen_project(plane, project), name, actor=options.actor, why=options.why)
    if options.json:
        print_json(removed)
        return
    done(f"Candidate {removed.name} ({short(removed.digest)}) is removed; what it said so far stays recorded.")


@candidate.command(name="list")
def list_(
    *,
    project: ProjectOption = None,
    closed: Annotated[bool, Parameter(name="--all", negative="", help="Also those removed or promoted")] = False,
    options: Reading = READING,
) -> None:
    """List the candidates, oldest first.

    Example:  cz policy candidate list --project support-bot --all
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        found = plane.list_candidates(chosen, closed=closed)
    if options.json:
        print_json(found)
        return
    if not found:
        empty(f"Project {chosen} has no candidate.", f"cz policy candidate add FILE --project {chosen}")
        return
    rows = [
        (
            one.name,
            short(one.digest),
            one.closed_as or "judged in shadow",
            time_text(one.created_at),
            one.created_by,
            one.why or "",
        )
        for one in found
    ]
    console.print(table(f"Candidates of {chosen}", ("name", "bundle", "state", "added", "who", "why"), rows))


@candidate.command
def promote(
    name: Annotated[str, Parameter(help="Its digest, the start of it, or its name")],
    *,
    project: ProjectOption = None,
    yes: YesOption = False,
    options: Changing = CHANGING,
) -> None:
    """Put a candidate in force and close it.

    It asks before one that denies everything is put in force in a project that enforces.

    Example:  cz policy candidate promote stricter --project support-bot --why "no wrong denial in two weeks"
    """
    with control_plane(options) as plane:
        before = plane.project(chosen_project(plane, project))
        for candidate in plane.list_candidates(before.project_id) if not yes else ():
            if candidate.name == name or candidate.digest.startswith(name):
                _ask_if_it_stops_all(before, [parse(document) for document in candidate.policies])
        change = plane.promote_candidate(before.project_id, name, actor=options.actor, why=options.why)
    _say_applied(change, options)


def _warn(doubts: Sequence[Problem]) -> None:
    for doubt in doubts:
        warned(told(doubt))


def _ask_if_it_stops_all(before: Project, policies: Sequence[Policy]) -> None:
    """Ask before a policy that denies everything is put in force where denials are real."""
    if before.mode == "enforce" and before.policy_digest != policy_digest(policies) and denies_everything(policies):
        _confirm(before.project_id)


def _confirm(project: str) -> None:
    fact = f"project `{project}` enforces, and this policy denies everything"
    if not sys.stdin.isatty():
        raise Rejected(f"{fact}: every action of its agents would be stopped. It has to be confirmed and nobody is there to ask; say --yes")
    warned(f"{fact}: every action of its agents is stopped as soon as they fetch it.")
    if not Confirm.ask("Apply it all the same?", console=console, default=False):
        raise Rejected(f"nothing was changed: project `{project}` keeps the policy it has")


def _say_applied(change: Change, options: Reading, doubts: Sequence[Problem] = ()) -> None:
    if options.json:
        print_json(msgspec.to_builtins(change) | {"warnings": doubts})
        return
    if not change.changed:
        unchanged(f"Project {change.project_id}: this policy is in force already, as version {change.version}. Nothing was changed.")
        return
    then = {
        "enforce": "What it denies is stopped as soon as agents fetch it.",
        "log-only": "The project is log-only: nothing is stopped, the Rollout page shows what would be.",
        "off": "The project is off: agents do not evaluate it.",
    }[change.mode]
    done(
        f"Project {change.project_id}: version {change.version} is in force, policy {short(change.policy_digest)}. {then}",
        next_step=f"cz policy diff {(change.version or 1) - 1} {change.version} --project {change.project_id}"
        if change.version != 1
        else None,
    )


def _documents(plane: ControlPlane, project: str, name: str) -> tuple[dict[str, Any], ...]:
    if name == "in force":
        return plane.policy(project).policies
    if name.isascii() and name.isdigit():
        return plane.policy(project, int(name)).policies
    return decode_policies(policies_text(read_policy(Path(name))[0]))


def _labelled(name: str) -> str:
    return f"version {name}" if name.isascii() and name.isdigit() else name


def _title(found: PolicyVersion) -> str:
    return f"project {found.project_id}, version {found.version}, {found.mode}, policy {short(found.policy_digest)}"
