"""Whatever a policy says and wherever its comments are, formatting changes neither, and formatting again changes nothing."""

import json
import re

import pytest
import yaml

from controlplane.wording import policy_text
from controlzero.policy import parse
from controlzero.policy.parse import as_json
from cz.policy_format import formatted
from tests.property import naive_policy as naive


@pytest.mark.parametrize("part", range(2))
def test_formatting_keeps_what_is_said_and_every_comment(part):
    rng = naive.seeded(f"format/{part}")
    kept = 0
    for _ in range(200):
        document = json.loads(json.dumps(as_json(parse({"rules": naive.a_policy(rng)}))))
        text = yaml.safe_dump(
            document, default_flow_style=rng.choice((False, None)), sort_keys=rng.random() < 0.5, indent=rng.choice((2, 4))
        )
        commented, comments = with_comments(rng, text)
        written = formatted(commented, name="policy")
        assert parse(written) == parse(text)
        assert formatted(written, name="policy") == written
        assert sorted(re.findall(r"# c\d+", written)) == sorted(comments), commented
        kept += len(comments)
        assert formatted(policy_text([document]), name="policy") == policy_text([document])
    assert kept > 200


def with_comments(rng, text):
    """Put comments behind and between lines, where YAML has them: never behind a line that goes on in the next."""
    lines, comments = [], []
    for line in text.splitlines():
        if rng.random() < 0.2 and not lines_goes_on(lines):
            comments.append(f"# c{len(comments)}")
            lines.append(rng.choice(("", "  ", "      ")) + comments[-1])
        lines.append(line)
        if rng.random() < 0.2 and not opens(line):
            comments.append(f"# c{len(comments)}")
            lines[-1] += f"  {comments[-1]}"
    return "\n".join(lines) + "\n", comments


def opens(line):
    return (
        line.count("[") + line.count("{") > line.count("]") + line.count("}") or line.count("'") % 2 or line.count('"') % 2 or "\\" in line
    )


def lines_goes_on(lines):
    return bool(lines) and bool(opens(lines[-1]))
