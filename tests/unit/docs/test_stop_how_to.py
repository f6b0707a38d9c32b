"""docs/how-to/stop-an-agent.md names the numbers of the code."""

from pathlib import Path

from controlplane.model import ORDERS_MAX, REASON_CHARS_MAX
from processors.steps.judge import ORDER_GRACE_US
from processors.watch.critical import STOPPED_WITHIN_US
from processors.watch.spikes import MINUTE_US

PAGE = " ".join((Path(__file__).parents[3] / "docs" / "how-to" / "stop-an-agent.md").read_text(encoding="utf-8").split())


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"At most {ORDERS_MAX} orders are in force in one project" in PAGE
    assert f"one line of at most {REASON_CHARS_MAX} characters" in PAGE
    assert (ORDER_GRACE_US, "more than five seconds after an order" in PAGE) == (5_000_000, True)
    assert (STOPPED_WITHIN_US, "Findings of the last fifteen minutes count" in PAGE) == (15 * MINUTE_US, True)
