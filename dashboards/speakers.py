"""Which agents producers spoke for: people know their agents, not the numbers of processes."""

from collections.abc import Sequence

from dashboards.answers import Row
from dashboards.counting import window_parameters
from dashboards.desk import View


def speakers_of(view: View, producers: Sequence[Row]) -> list[Row]:
    """Ask which agent each of these producers spoke for in the view's period."""
    if not producers:
        return []
    ids = sorted(row["producer_id"] for row in producers)
    return view.answers.rows("agents_of_producers", producers=ids, **window_parameters(view.window))
