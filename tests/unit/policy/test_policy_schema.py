"""The schemas of policies and of their tests: they take what the commands take, and refuse what a schema can know is wrong."""

import json
import re
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from controlplane.signing import parse_policies
from controlzero.errors import PolicyError, Rejected
from controlzero.policy import parse
from controlzero.policy.decode import decode
from controlzero.policy.undecodable import Undecodable
from cz.policy_cases import Group
from cz.policy_schema import schema_text
from tests.conftest import SHARED

REPOSITORY = Path(__file__).parents[3]
FOLDERS = [REPOSITORY / name for name in ("tests", "docs", "examples")] + [SHARED]
FENCED = re.compile(r"^( *)```(?:json|ya?ml)\n(.*?)^\1```", re.M | re.S)
POLICY = Draft7Validator(json.loads(schema_text("policies")))
CASES = Draft7Validator(json.loads(schema_text("cases")))


def written() -> list[object]:
    """Return all that is written in JSON or YAML in this repository and in what it was made from: files, and blocks of pages."""
    paths = [path for folder in FOLDERS for path in folder.rglob("*") if "node_modules" not in path.parts]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.suffix in (".json", ".yaml", ".yml")]
    pages = [path.read_text(encoding="utf-8") for path in paths if path.suffix == ".md"]
    texts += [re.sub(rf"^{found[1]}", "", found[2], flags=re.M) for page in pages for found in FENCED.finditer(page)]
    values = []
    for text in texts:
        try:
            values.append(decode(text))
        except Undecodable:  # such as a compose file with anchors
            continue
    return values


WRITTEN = written()
GROUPS = [group for value in WRITTEN for group in (value if isinstance(value, list) else [value]) if isinstance(group, dict)]
INLINE = [group["policy"] for group in GROUPS if isinstance(group.get("policy"), dict | list)]


def is_taken(value: object) -> bool:
    try:
        parse_policies([value] if isinstance(value, list) else value)
    except (PolicyError, Rejected, TypeError):
        return False
    return True


def test_the_schemas_are_schemas() -> None:
    Draft7Validator.check_schema(POLICY.schema)
    Draft7Validator.check_schema(CASES.schema)


def test_every_policy_that_is_written_down_is_valid() -> None:
    taken = [value for value in (*WRITTEN, *INLINE) if isinstance(value, dict | list) and is_taken(value)]
    assert len(taken) > 100
    for value in taken:
        assert [error.message for error in POLICY.iter_errors(value)] == [], value


def test_every_file_of_cases_that_is_written_down_is_valid() -> None:
    taken = []
    for value in (*WRITTEN, *GROUPS):
        try:
            msgspec.convert(value if isinstance(value, list) else [value], type=list[Group])
        except msgspec.ValidationError:
            continue
        taken.append(value)
    assert len(taken) > 20
    for value in taken:
        assert [error.message for error in CASES.iter_errors(value)] == [], value


RULE = {"effect": "deny", "action": "a"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "rules",
        {},
        {"rules": None},
        {"rules": {}},
        {"rules": ["x"]},
        {"rules": [RULE], "nam": "x"},
        {"rules": [RULE], "name": " "},
        {"rules": [RULE], "name": "x" * 201},
        {"rules": [RULE], "description": ["x"]},
        [{"action": "a"}],
        [{"effect": "deny"}],
        [{**RULE, "effect": "denny"}],
        [{**RULE, "efect": "deny"}],
        [{**RULE, "action": 1}],
        [{**RULE, "action": []}],
        [{**RULE, "action": ["a", ""]}],
        [{**RULE, "action": "a" * 1025}],
        [{**RULE, "resource": ["x"] * 1001}],
        [{**RULE, "resource": {"glob": "x"}}],
        [{**RULE, "mode": "enforce"}],
        [{**RULE, "id": ""}],
        [{**RULE, "reason": "x" * 2001}],
        *(
            [{**RULE, "conditions": conditions}]
            for conditions in (
                [],
                {"tier": None},
                {"tier": []},
                {"tier": {}},
                {"tier": {"==": 1}},
                {"tier": {"in": "a"}},
                {"tier": {"not_in": []}},
                {"tier": {"eq": ["a"]}},
                {"tier": {"gt": True}},
                {"tier": {"exists": "yes"}},
                {"tier": [["a"]]},
                {"": "x"},
                {" tier": "x"},
                {"tier ": "x"},
                {"args": "x"},
                {"tags": "x"},
                {"args.": "x"},
                {"@more": "x"},
                {"resource": "x"},
                {"arg.path": "x"},
                {"context.tier": "x"},
                {"a.b.c.d.e.f.g.h.i": "x"},
                {"agent_id": "x", "agent_name": "x"},
                {f"key{number}": "x" for number in range(33)},
            )
        ),
    ],
)
def test_what_is_malformed_is_refused_by_both(value: object) -> None:
    assert not is_taken(value)
    assert not POLICY.is_valid(value)


REFUSED = decode((REPOSITORY / "tests" / "golden" / "policy" / "refused.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("group", [pytest.param(group, id=group["description"]) for group in REFUSED])
def test_what_the_shared_cases_refuse_is_refused_but_for_what_no_schema_says(group: dict) -> None:
    if group["description"] == "a name is plain text, an id is given once":  # no schema says either
        assert POLICY.is_valid(group["policy"])
    else:
        assert not POLICY.is_valid(group["policy"])


@pytest.mark.parametrize(
    "value",
    [
        {"case": []},
        {"cases": [{"wanted": "allow"}]},
        {"cases": [{"call": {"action": "a"}}]},
        {"cases": [{"call": {"action": "a"}, "wanted": "allowed"}]},
        {"cases": [{"call": {"action": "a"}, "guard": {"tool": "a"}, "wanted": "allow"}]},
        {"cases": [{"call": {"resource": "a"}, "wanted": "allow"}]},
        {"cases": [{"guard": {"action": "a"}, "wanted": "allow"}]},
        {"cases": [{"call": {"action": "a"}, "wanted": {"verdct": "allow"}}]},
        {"cases": [{"call": {"action": "a", "args": [1]}, "wanted": "deny"}]},
        {"policy": {"rules": [{"effect": "denny", "action": "a"}]}, "cases": []},
        {"policy": 1, "cases": []},
    ],
)
def test_cases_that_are_malformed_are_refused(value: object) -> None:
    assert not CASES.is_valid(value)
    assert not CASES.is_valid([value])


def test_a_call_of_nothing_beside_a_guard_is_none() -> None:
    assert CASES.is_valid({"cases": [{"call": None, "guard": {"tool": "a"}, "wanted": {"verdict": "allow", "rule": None}}]})


FULL = {
    "name": "n",
    "description": "d",
    "rules": [
        {
            "id": "i",
            "effect": "warn",
            "action": ["a", "b:*"],
            "resource": "r/*",
            "conditions": {
                "agent_id": "x",
                "args.a.b": ["p", 1, True],
                "tier": {"gt": 1, "in": ["a"], "exists": True, "not_in": [2], "eq": "x"},
            },
            "reason": "r",
            "mode": "log-only",
        }
    ],
}
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4), st.just([]), st.just({}),
    st.sampled_from(["allow", "*", "a.b", "args.x", "tags", "log-only", {"eq": 1}, {"lt": "a"}, {"exists": False}, ["x"], [1, "y"], {"in": ["a", 2.5]}]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["tags.a", "agent_name", "args.a.b.c", "arg", "context", "tag.x", "a b", "eq", "lte", "not_exists", "id", "x", "rules"]
)


@given(st.data())
def test_whatever_can_be_parsed_is_valid(data: st.DataObject) -> None:
    value = deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = data.draw(st.sampled_from(list(places(value))))
        if isinstance(node, dict) and data.draw(st.booleans()):
            node[data.draw(KEYS)] = node.pop(key)
        else:
            node[key] = deepcopy(data.draw(JUNK))  # what is in it may be put elsewhere next
    try:
        parse(value)
    except PolicyError:
        return
    assert [error.message for error in POLICY.iter_errors(value)] == []


def places(value):
    """Yield each place in a value, as what it is in and its key or number."""
    for key, each in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(each, dict | list):
            yield from places(each)
