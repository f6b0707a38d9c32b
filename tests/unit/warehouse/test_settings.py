"""Where the environment says the ledger is."""

from pathlib import Path

import pytest

from controlzero.errors import Rejected
from warehouse.settings import ledger_at
from warehouse.stores import Bucket

HOME = Path("home")


@pytest.mark.parametrize("said", [None, ""])
def test_unless_something_is_said_the_ledger_is_in_the_data_folder(monkeypatch, said):
    monkeypatch.delenv("CZ_WAREHOUSE", raising=False)
    if said is not None:
        monkeypatch.setenv("CZ_WAREHOUSE", said)
    assert ledger_at(HOME) == HOME / "warehouse" / "ledger"


def test_a_folder_holds_it(monkeypatch):
    monkeypatch.setenv("CZ_WAREHOUSE", "/srv/warehouse")
    assert ledger_at(HOME) == Path("/srv/warehouse/ledger")


def test_a_bucket_holds_it_and_what_is_read_is_kept_in_the_data_folder(monkeypatch):
    monkeypatch.setenv("CZ_WAREHOUSE", "s3://audit/eu/")
    monkeypatch.setenv("CZ_CACHE_MB", "100")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    assert ledger_at(HOME) == Bucket(url="s3://audit/eu/ledger", cache=HOME / "cache", cache_bytes_max=100 << 20, allow_http=True)


@pytest.mark.parametrize("said", ["s3://", "s3:/audit", "gs://audit", "https://audit.example"])
def test_anything_else_is_refused_with_what_is_taken(monkeypatch, said):
    monkeypatch.setenv("CZ_WAREHOUSE", said)
    with pytest.raises(Rejected, match="expected a folder, or `s3://BUCKET`"):
        ledger_at(HOME)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("store.example:9000", "AWS_ENDPOINT_URL: `store.example:9000`, expected http://HOST:PORT or https://HOST:PORT"),
        ("https://", "expected http://HOST:PORT or https://HOST:PORT"),
        ("http://store:7070", "`http://store:7070` is without TLS; on a network you trust, set AWS_ALLOW_HTTP=true"),
    ],
)
def test_an_address_of_a_store_that_cannot_be_is_refused(monkeypatch, endpoint, said):
    monkeypatch.setenv("CZ_WAREHOUSE", "s3://audit")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(Rejected) as refused:
        ledger_at(HOME)
    assert said in str(refused.value)
