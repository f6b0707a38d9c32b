import hashlib

import pytest

from ingest.authentication import TokenBuckets, key_of, project_of
from ingest.problems import Refusal
from topics.control import ControlState, KeyRecord, ProjectRecord

SECRET = b"cz_live_0123456789abcdef"
DIGEST = hashlib.sha256(SECRET).hexdigest()
KEY = KeyRecord(key_id="k1", prefix="cz_live_0123", sha256=DIGEST, projects=("p",), created_at=1)
REVOKED = KeyRecord(
    key_id="k2", prefix="cz_live_9999", sha256=hashlib.sha256(b"revoked").hexdigest(), projects=("p",), created_at=1, revoked_at=2
)
STATE = ControlState(keys={DIGEST: KEY, REVOKED.sha256: REVOKED})


def test_a_key_is_known_by_its_whole_value() -> None:
    assert key_of(STATE, b"Bearer " + SECRET, "decisions:write", at=1) == KEY
    assert key_of(STATE, b"bearer  " + SECRET, "decisions:write", at=1) == KEY


@pytest.mark.parametrize(
    ("authorization", "slug"),
    [
        (None, "no-key"),
        (b"", "no-key"),
        (b"Bearer", "no-key"),
        (b"Bearer  ", "no-key"),
        (b"Basic " + SECRET, "no-key"),
        (SECRET, "no-key"),
        (b"Bearer " + b"x" * 600, "no-key"),
        (b"Bearer " + SECRET[:-1], "unknown-key"),
        (b"Bearer " + SECRET + b"\xff", "unknown-key"),
        (b"Bearer " + DIGEST.encode(), "unknown-key"),
        (b"Bearer revoked", "revoked-key"),
    ],
)
def test_anything_else_is_a_401_that_says_how_to_authenticate(authorization: bytes | None, slug: str) -> None:
    with pytest.raises(Refusal) as told:
        key_of(STATE, authorization, "decisions:write", at=1)
    assert (told.value.slug, told.value.status) == (slug, 401)
    assert told.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert SECRET.decode() not in told.value.detail


def test_a_key_reaches_only_what_it_grants() -> None:
    assert project_of(STATE, KEY, None) == project_of(STATE, KEY, "p") == "p"
    with pytest.raises(Refusal) as told:
        project_of(STATE, KEY, "q")
    assert told.value.status == 403


def test_a_key_of_several_projects_must_be_told_which() -> None:
    wide = KeyRecord(key_id="k", prefix="cz_live_wide", sha256="", projects=("p", "q"), created_at=1)
    assert project_of(STATE, wide, "q") == "q"
    with pytest.raises(Refusal) as told:
        project_of(STATE, wide, None)
    assert told.value.slug == "project-required"


def test_an_archived_project_takes_nothing() -> None:
    state = ControlState(projects={"p": ProjectRecord(project_id="p", name="P", mode="off", archived=True)})
    with pytest.raises(Refusal) as told:
        project_of(state, KEY, None)
    assert told.value.slug == "project-archived"


def test_a_key_waits_once_its_burst_is_used_up_until_its_rate_has_paid_for_it() -> None:
    buckets = TokenBuckets(per_s=10, burst=20)
    assert buckets.wait_s("k", at_s=0) == 0
    buckets.take("k", 19, at_s=0)
    assert buckets.wait_s("k", at_s=0) == 0
    buckets.take("k", 6, at_s=0)  # in debt by 5
    assert buckets.wait_s("k", at_s=0) == pytest.approx(0.6)
    assert buckets.wait_s("k", at_s=0.5) > 0
    assert buckets.wait_s("k", at_s=0.6) == 0


def test_a_key_that_rests_has_its_burst_again_and_no_more() -> None:
    buckets = TokenBuckets(per_s=10, burst=20)
    buckets.take("k", 100, at_s=0)
    buckets.take("k", 20, at_s=1_000)
    assert buckets.wait_s("k", at_s=1_000) > 0


def test_keys_do_not_pay_for_one_another() -> None:
    buckets = TokenBuckets(per_s=10, burst=20)
    buckets.take("k", 100, at_s=0)
    assert buckets.wait_s("other", at_s=0) == 0
