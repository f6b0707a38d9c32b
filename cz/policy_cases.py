"""Tests of policies as data: a call, and what the policy is wanted to say of it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree as ET

import msgspec
import yaml
from msgspec import UNSET, Meta, Struct, UnsetType

from controlplane.signing import parse_policies
from controlzero.errors import Rejected, told
from controlzero.policy import CompiledPolicy, Judgement, Policy, Request, request_for_enforce, request_for_guard
from controlzero.policy.decode import decode
from controlzero.policy.lint import paths_of
from controlzero.policy.parse import parse_all
from controlzero.policy.undecodable import Undecodable
from controlzero.records import ReasonCode, Verdict
from cz.opening import STANDARD_INPUT, read_text
from cz.policy_files import policy_name, read_policies

Facts = dict[str, Any]
PolicyText = Annotated[Facts, Meta(extra_json_schema={"allOf": [{"$ref": "#/definitions/policy"}]})]


class Enforced(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A call as `enforce` is given it."""

    action: str
    resource: str | None = None
    context: Facts | None = None
    args: Facts | None = None
    tags: Facts | None = None


class Guarded(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A call as `guard` is given it."""

    tool: str
    method: str | None = None
    args: Facts | None = None
    context: Facts | None = None
    resource: str | None = None
    mcp_url: str | None = None
    tags: Facts | None = None


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of the judgement; what is not said is not asked. `rule` is the deciding rule's id, or n of `rules[n]`; null: none."""

    verdict: Verdict | UnsetType = UNSET
    rule: int | str | UnsetType | None = UNSET
    rule_id: str | UnsetType | None = UNSET
    policy_id: str | UnsetType | None = UNSET
    reason_code: ReasonCode | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    resource: str | UnsetType | None = UNSET
    resource_claimed: bool | UnsetType = UNSET
    evaluated_rules: int | UnsetType = UNSET


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One call, by `call` or by `guard`, and what is wanted: a verdict, or more."""

    wanted: Verdict | Wanted
    call: Enforced | None = None
    guard: Guarded | None = None
    description: str | None = None


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """Cases of one policy: a file beside this one, several in their order, or the policy itself."""

    cases: list[Case]
    policy: str | PolicyText | list[str | PolicyText] | None = None
    description: str | None = None


class Result(Struct, frozen=True, kw_only=True):
    """What became of one case: `differs` names what is not as wanted, each as (wanted, got)."""

    file: str
    group: str | None
    case: str
    passed: bool
    verdict: str
    rule: str | None
    reason: str
    differs: dict[str, tuple[Any, Any]]


class Run(Struct, frozen=True, kw_only=True):
    """What became of the cases of some files. `untested` are rules that decide no case, as `policy: rules[n]`."""

    results: list[Result]
    untested: list[str]

    @property
    def failed(self) -> int:
        """How many cases are not as wanted."""
        return sum(not result.passed for result in self.results)


def run(files: Iterable[Path], *, policies: Sequence[Policy] = ()) -> Run:
    """Judge every case of test files, by `policies` where they are given, else by those the files name. Raises `Rejected`, `PolicyError`."""
    results: list[Result] = []
    rules: dict[str, bool] = {}
    for file in files:
        for group in _groups(file):
            compiled = CompiledPolicy(policies or _policies(group, file))
            paths = paths_of(compiled.policies)
            names = [f"{rule.policy_id}: {path.rpartition(': ')[2]}" for rule, path in zip(compiled.rules, paths, strict=True)]
            for name in names:
                rules.setdefault(name, False)
            for number, case in enumerate(group.cases, 1):
                said = compiled.judge(_request(case, file, number))
                if said.rule is not None:
                    rules[names[said.rule]] = True
                results.append(_result(file, group, case, number, said, None if said.rule is None else paths[said.rule]))
    return Run(results=results, untested=[name for name, is_tested in rules.items() if not is_tested])


def junit(done: Run) -> bytes:
    """Return the results as JUnit XML, which CI systems show."""
    suites = ET.Element("testsuites", tests=str(len(done.results)), failures=str(done.failed))
    for file in dict.fromkeys(result.file for result in done.results):
        own = [result for result in done.results if result.file == file]
        failed = sum(not result.passed for result in own)
        suite = ET.SubElement(suites, "testsuite", name=file, tests=str(len(own)), failures=str(failed))
        for result in own:
            case = ET.SubElement(suite, "testcase", classname=result.group or file, name=result.case)
            if not result.passed:
                ET.SubElement(case, "failure", message=difference(result)).text = result.reason
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def difference(result: Result) -> str:
    """Say what of a case is not as wanted."""
    return "; ".join(f"{name}: wanted {_shown(wanted)}, got {_shown(got)}" for name, (wanted, got) in result.differs.items())


def call_text(call: object) -> str:
    """Return a call in one line, as a case of a test file may say it."""
    return yaml.safe_dump(msgspec.to_builtins(call), default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True).strip()


def _groups(file: Path) -> list[Group]:
    try:
        value = decode(read_text(file))
        return msgspec.convert(value if isinstance(value, list) else [value], type=list[Group])
    except Undecodable as error:
        raise Rejected(f"{file}: {told(error.problems[0])}") from None
    except msgspec.ValidationError as error:
        raise Rejected(f"{file}: {error}; expected `policy` and `cases`, each with `call` or `guard` and `wanted`") from error


def _policies(group: Group, file: Path) -> tuple[Policy, ...]:
    if group.policy is None:
        raise Rejected(f"{file}: no `policy`; name a file beside it, or say --policy FILE")
    folder = Path() if file == STANDARD_INPUT else file.parent
    several = group.policy if isinstance(group.policy, list) else [group.policy]
    found: list[Policy] = []
    for each in several:
        found += read_policies([folder / each]) if isinstance(each, str) else parse_policies(each, name=policy_name(file))
    return parse_all(found)


def _request(case: Case, file: Path, number: int) -> Request:
    if (case.call is None) is (case.guard is None):
        raise Rejected(f"{file}: case {number}: expected one of `call` and `guard`")
    if case.call is not None:
        asked = case.call
        return request_for_enforce(asked.action, resource=asked.resource, context=asked.context, args=asked.args, tags=asked.tags)
    said: Mapping[str, Any] = {name: getattr(case.guard, name) for name in Guarded.__struct_fields__}
    return request_for_guard(said["tool"], **{name: value for name, value in said.items() if name != "tool"})


def _result(file: Path, group: Group, case: Case, number: int, said: Judgement, path: str | None) -> Result:
    wanted = case.wanted if isinstance(case.wanted, Wanted) else Wanted(verdict=case.wanted)
    asked = {name: getattr(wanted, name) for name in Wanted.__struct_fields__}
    differs = {
        name: (value, got)
        for name, value in asked.items()
        if value is not UNSET and value != (got := said.rule_id if name == "rule" and isinstance(value, str) else getattr(said, name))
    }
    named = case.description or call_text(case.call or case.guard)
    return Result(
        file=str(file),
        group=group.description,
        case=f"{number}: {named}",
        passed=not differs,
        verdict=said.verdict,
        rule=path,
        reason=said.reason,
        differs=differs,
    )


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
