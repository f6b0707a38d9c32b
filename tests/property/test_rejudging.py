"""Judging landed decisions by their distinct facts says of each row what judging it alone says."""

import duckdb
import pytest
from msgspec.structs import replace

from controlzero.policy import parse
from controlzero.policy.evaluate import compile_policies
from controlzero.policy.facts import request_of
from processors.judging import rejudge
from tests.property import naive_policy as naive
from tests.property.masked_records import Masker, recorded
from warehouse.columns import decisions_table

PLACED = {"project_id": "p", "producer_id": "r", "received_at": 0, "log_partition": 0, "log_offset": 0, "backfill": False}


def landed(connection, decisions):
    table = decisions_table(
        decisions, placed={name: [value] * len(decisions) for name, value in PLACED.items()} | {"seq": range(len(decisions))}, judged={}
    )
    connection.register("landed", table)


def numbered(decisions):
    return [replace(decision, decision_id=f"00000000-0000-0000-0000-{number:012}") for number, decision in enumerate(decisions)]


def said(judgement):
    rule = None if judgement.rule is None else judgement.rule + 1
    return judgement.verdict, rule, judgement.policy_id, judgement.rule_id, judgement.not_replayable_key


@pytest.mark.parametrize("part", range(3))
def test_every_row_is_judged_as_if_alone(part):
    rng = naive.seeded(f"rejudging/{part}")
    bundle, other = (compile_policies(parse({"rules": [rule for _ in range(3) for rule in naive.a_policy(rng)]})) for _ in range(2))
    calls = [naive.a_call(rng) for _ in range(120)]
    plain = Masker(rng)
    plain.share = 0.0
    decisions = numbered(recorded(bundle, rng.choice(calls), rng.choice((plain, Masker(rng)))) for _ in range(400))
    with duckdb.connect() as connection:
        landed(connection, decisions)
        for compiled in (bundle, other):
            for known in ({"b": bundle}, {}):
                found = rejudge(connection, "landed", compiled, recorded_under=known)
                rows = connection.execute(
                    "SELECT rejudged_verdict, rejudged_rule, rejudged_policy_id, rejudged_rule_id, rejudged_not_replayable_key "
                    f"FROM ({found.sql}) ORDER BY seq"
                ).fetchall()
                alone = [compiled.judge(request_of(each, recorded_under=known.get("b"), is_landed=True)) for each in decisions]
                assert rows == [said(judgement) for judgement in alone]
                assert found.rows == len(decisions)
                assert found.facts < len(decisions)
