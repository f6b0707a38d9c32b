"""docs/how-to/alert-on-denials.md shows the payload that a webhook gets, field for field, and the numbers of the code."""

import json
import re
from pathlib import Path

import httpx
import msgspec

from processors.watch import alerts, critical, notify, spikes
from processors.watch.alerts import Alert
from processors.watch.notify import deliver

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "alert-on-denials.md").read_text(encoding="utf-8")
(PAYLOAD,) = (json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S))


def test_the_payload_is_what_is_posted() -> None:
    alert = msgspec.convert(PAYLOAD["alert"], Alert)
    posted: list[object] = []

    def taken(request: httpx.Request) -> httpx.Response:
        posted.append(json.loads(request.read()))
        return httpx.Response(204)

    with httpx.Client(transport=httpx.MockTransport(taken)) as client:
        deliver([alert], {alert.project_id: "http://hooks.test"}, client, clock=lambda: 0)
    assert posted == [PAYLOAD]


def test_every_field_but_those_of_every_page_is_told() -> None:
    table = PAGE.split("| field |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")}
    assert told == set(Alert.__struct_fields__) - {"project_id", "rule", "message"}


def test_the_numbers_are_those_of_the_code() -> None:
    page = " ".join(PAGE.split())
    p_suspected, p_sure = (f"1 in {round(1 / p):,}" for p in (spikes.P_SUSPECTED, spikes.P_SURE))
    for sentence in (
        f"at least {spikes.DENIALS_MIN} denials, at least {spikes.RATIO_MIN:g} times the rate before, and a chance below {p_suspected}",
        f"below {p_sure}, else after {alerts.SUSPECTED_MINUTES_MAX} suspected minutes",
        f"after {alerts.CALM_MINUTES} calm minutes in a row; a minute is calm where its window has less than {alerts.CALM_RATIO:g} times",
        f"After {alerts.OPEN_US_MAX // 3_600_000_000} hours",
    ):
        assert sentence in page
    assert f"after {alerts.CALM_MINUTES} minutes in a row whose last {critical.WINDOW_MINUTES} minutes held none" in page
    assert notify.AGAIN_AFTER_S == (0, 5, 15, 60, 300, 900, 3_600)
    assert "after 5 s, 15 s, 1, 5, 15 and 60 minutes" in page
    assert (spikes.WINDOWS, spikes.BASELINE_MINUTES) == ((1, 5), 60)
