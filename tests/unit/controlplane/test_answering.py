"""What is kept of answers given once: for how long, how many, how large, and of whom."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from controlplane.api import answering
from controlplane.api.answering import KEPT_BYTES_MAX, KEPT_MAX, KEPT_US, Answer, answered_once
from controlplane.api.authentication import Caller
from controlplane.keys import label_of
from controlplane.service import ControlPlane
from controlplane.tables import AnsweredRow

ASKED = ("POST", "/v1/projects/shop/keys", "", b"{}")


def a_caller(plane: ControlPlane, project: str) -> Caller:
    secret, key = plane.create_key([project], actor="ada")
    return Caller(key=key, actor=label_of(key), secret=secret.encode())


def is_made(plane: ControlPlane, caller: Caller, name: str, *, at: int, size: int = 2) -> bool:
    """Ask for a change whose answer has `size` bytes; return whether it was made, and not answered as it was before."""
    answer = answered_once(plane, caller, name, ASKED, lambda: Answer(status=201, body=b"x" * size), at=at)
    assert (answer.status, answer.body) == (201, b"x" * size)
    return not answer.is_repeated


@pytest.fixture
def shop(plane: ControlPlane) -> ControlPlane:
    plane.create_organisation("other", actor="ada")
    plane.create_project("shop", actor="ada")
    plane.create_project("depot", actor="ada")
    plane.create_project("elsewhere", actor="ada", organisation_id="other")
    return plane


def kept(plane: ControlPlane) -> int:
    with plane.together() as session:
        return session.scalar(select(func.count()).select_from(AnsweredRow)) or 0


def test_an_answer_is_given_again_for_a_day(shop: ControlPlane) -> None:
    caller = a_caller(shop, "shop")
    assert is_made(shop, caller, "k", at=1)
    assert not is_made(shop, caller, "k", at=KEPT_US)
    assert is_made(shop, caller, "k", at=KEPT_US + 1)


def test_of_an_organisation_the_newest_answers_are_kept_and_nothing_of_another_goes(
    shop: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "KEPT_MAX", 10)
    callers = [a_caller(shop, "shop"), a_caller(shop, "depot")]
    theirs = a_caller(shop, "elsewhere")
    assert is_made(shop, theirs, "k", at=1)
    for number in range(25):
        assert is_made(shop, callers[number % 2], f"k-{number}", at=2 + number)
    assert kept(shop) == 10 + 1
    assert not any(is_made(shop, callers[number % 2], f"k-{number}", at=30) for number in range(15, 25))
    assert not is_made(shop, theirs, "k", at=30)
    assert is_made(shop, callers[0], "k-14", at=30)  # no longer known: it is a new one


def test_large_answers_are_kept_up_to_so_many_bytes(shop: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "KEPT_BYTES_MAX", 100_000)
    caller = a_caller(shop, "shop")
    for number in range(6):
        assert is_made(shop, caller, f"k-{number}", at=1 + number, size=20_000)
    assert not any(is_made(shop, caller, f"k-{number}", at=9, size=20_000) for number in (3, 4, 5))
    assert kept(shop) == 3  # a body is kept as text, a third longer
    assert is_made(shop, caller, "huge", at=10, size=90_000)
    assert not is_made(shop, caller, "huge", at=11, size=90_000)
    assert kept(shop) == 1


def test_what_a_reader_is_told_of_the_bounds_is_what_they_are() -> None:
    page = Path("docs/reference/http-api.md").read_text(encoding="utf-8")
    assert f"Of an organisation the newest\n  {KEPT_MAX:,} are kept, {KEPT_BYTES_MAX // 2**20} MiB together" in page
