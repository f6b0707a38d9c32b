"""The shared cases of policies: data that every SDK must agree on."""

from pathlib import Path

import pytest

from controlzero.errors import PolicyError
from controlzero.policy import parse, request_for_enforce, request_for_guard
from controlzero.policy.decode import decode
from controlzero.policy.evaluate import compile_policies

FILES = sorted((Path(__file__).parent / "policy").glob("*.yaml"))
GROUPS = [pytest.param(group, id=f"{path.stem}: {group['description']}") for path in FILES for group in decode(path.read_bytes())]


def asked(case):
    if "guard" in case:
        call = dict(case["guard"])
        return request_for_guard(call.pop("tool"), **call)
    call = dict(case["call"])
    return request_for_enforce(call.pop("action"), **call)


@pytest.mark.parametrize("group", [group for group in GROUPS if "cases" in group.values[0]])
def test_the_policy_judges_each_call_as_wanted(group):
    compiled = compile_policies(group["policy"])
    for case in group["cases"]:
        request = asked(case)
        judgement = compiled.judge(request)
        said = {name: getattr(judgement, name) for name in judgement.__struct_fields__}
        said |= {"actions": list(request.actions), "reads": sorted(compiled.reads)}
        assert {name: said[name] for name in case["wanted"]} == case["wanted"], case


@pytest.mark.parametrize("group", [group for group in GROUPS if "refused" in group.values[0]])
def test_the_policy_is_refused_with_every_problem(group):
    with pytest.raises(PolicyError) as refused:
        parse(group["policy"])
    found = refused.value.problems
    assert [problem.path for problem in found] == [wanted["path"] for wanted in group["refused"]]
    for problem, wanted in zip(found, group["refused"], strict=True):
        assert wanted["message"] in problem.message


def test_there_are_cases_of_every_kind():
    assert {path.stem for path in FILES} >= {"seeds", "actions", "resources", "conditions", "refused"}
    assert sum(len(group.values[0].get("cases", ())) for group in GROUPS) > 100
